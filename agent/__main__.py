"""`python -m agent` is `iplink-agent`."""

from agent.cli import main

main()
