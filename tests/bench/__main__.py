"""`make bench`: every bench of this folder, one after the other. They print figures and ratios and assert nothing."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the benches whose names are given, or all."""
    wanted = set(sys.argv[1:])
    sys.argv = sys.argv[:1]
    for path in sorted(HERE.glob("bench_*.py")):
        if not wanted or path.stem.removeprefix("bench_") in wanted:
            print(f"== {path.stem.removeprefix('bench_')}", flush=True)
            runpy.run_path(str(path), run_name="__main__")


main()
