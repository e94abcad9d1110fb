"""The gateway process, with the patience that it has with servers cut short.

The product knows no such settings: a target that has failed stays out of use for five minutes, a better one is asked
each minute, and a request is unanswered after six seconds. Run with the arguments of `iplink-agent`.
"""

from __future__ import annotations

from agent.cli import main
from agent.core import registration
from agent.gateway.daemon import paths
from agent.gateway.daemon.sip import engine

if __name__ == "__main__":
    registration.DEAD_MS = 4_000
    paths.BETTER_MS = 1_000
    engine._TRANSACTION_TIMEOUT_MS = 3_000
    main()
