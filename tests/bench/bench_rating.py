"""How long it takes to read a big price list, to build and map its table, and to price one call.

Run as a program: `python tests/bench/bench_rating.py [ROWS]`. It prints figures and asserts nothing: machines differ.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agent.core.charge import price
from agent.rating.deck import parse
from agent.rating.rater import rate_call
from agent.rating.table import RateTable, build

HEADER = """# price_list: bench
# product: bench
# currency: NOK
# vat: included
# version: 1
# valid_from: 2026-01-01
# rounding: half_up
# decimals: 4
# seconds: up
prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum
"""


def deck_text(rows: int) -> str:
    """Write a deck of about `rows` random prefixes, 3,000 prices and 500 destinations."""
    dice = random.Random(7)
    prefixes = sorted({str(dice.randint(10**2, 10 ** dice.randint(5, 9))) for _ in range(rows)})
    lines = (f"{p},Destination {int(p) % 500},0,{int(p) % 3 + 1}.{int(p) % 1000:03d},60,1,," for p in prefixes)
    return HEADER + "\n".join(lines) + "\n"


def timed(name: str, work: Callable[[], object], count: int = 1) -> None:
    """Print how long one of `count` runs takes, and the process's peak memory."""
    began = time.perf_counter()
    for _ in range(count):
        work()
    spent = (time.perf_counter() - began) / count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    shown = f"{spent * 1e6:.1f} µs" if spent < 0.01 else f"{spent:.2f} s"
    sys.stdout.write(f"{name:<28}{shown:>12}   peak {peak} MB\n")


def main(rows: int) -> None:
    """Measure one list."""
    text = deck_text(rows)
    timed("parse", lambda: parse(text, "bench.csv"))
    deck = parse(text, "bench.csv")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.table"
        timed("build", lambda: build(deck, path))
        sys.stdout.write(f"{len(deck.rates)} prefixes, {path.stat().st_size / len(deck.rates):.1f} bytes each\n")
        timed("open and verify", lambda: RateTable.open(path))
        table = RateTable.open(path)
        number = "+" + deck.rates[len(deck.rates) // 2].prefix.ljust(11, "5")
        rate = table.find(number)
        if rate is None:
            raise SystemExit("the number has no row")
        timed("find", lambda: table.find(number), 20_000)
        timed("price", lambda: price(rate, 125_001, table.rules), 20_000)
        timed("rate_call", lambda: rate_call(table, number, 125_001, "bench"), 20_000)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
