"""Look-up and price beside what others would have built, size and making of the table, long calls beside short ones.

Run as a program: `python tests/bench/bench_rating.py [NUMBERS]`. It prints figures, targets beside them, and asserts
nothing: machines differ. Ratios are of times measured in turn, so that a busy machine is busy for all.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from rivals import Finder, Rivals
from world import HEADER, deck_text, numbers

from agent.core.charge import Terms, price, price_by
from agent.core.money import MICRO
from agent.rating.deck import load, parse
from agent.rating.table import RateTable

DURATION_MS = 125_001
LONG_MS = 72 * 3_600_000
ROUNDS = 15
OSLO = ZoneInfo("Europe/Oslo")
TIMED = RateTable.of(parse(HEADER.rstrip("\n") + """,when
46,Sverige,0,0.20,60,1,,,sat+sun
46,Sverige,0,0.59,60,1,,,mon-fri 08:00-17:00
46,Sverige,0,0.29,60,1,,,
""", "timed.csv"))  # fmt: skip
MAKE = """
import re, sys, time
from pathlib import Path
from agent.rating.deck import load
from agent.rating.table import RateTable, build
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
idle = peak()
began = time.perf_counter()
build(load(Path(sys.argv[1])), Path(sys.argv[2]))
print(time.perf_counter() - began, idle, peak())
"""


def measure(work: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Return for each of `work` the least time of some rounds, divided by `count`, in seconds; rounds take turns."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, run in work.items():
            began = time.perf_counter()
            run()
            best[name] = min(best[name], (time.perf_counter() - began) / count)
    return best


def line(what: str, figure: str, target: str = "") -> None:
    """Print one figure, and what the issue asks."""
    print(f"  {what:<52}{figure:>16}   {target}")


def verify(table: RateTable, rivals: Rivals, wanted: list[str]) -> None:
    """Every rater says the same, or nothing is measured."""
    for digits in wanted:
        (rate,) = table.candidates(digits, numbered=False)
        charge = price(rate, DURATION_MS, table.rules, explain=False)
        amount, exact, billed_s = rivals.decimals.price(digits, DURATION_MS)
        if not (rate.destination, rate.tariff) == rivals.sqlite.find(digits) == rivals.records.find(digits):
            raise SystemExit(f"the raters find different rows for {digits[:4]}…")
        if (amount * MICRO, billed_s) != (charge.amount_micro, charge.billed_s):
            raise SystemExit(f"the raters ask different amounts for {digits[:4]}…")
        if abs(Fraction(exact) - charge.exact_micro / MICRO) > Fraction(1, 10**20):
            raise SystemExit(f"the raters count differently for {digits[:4]}…")


def look_ups(table: RateTable, rivals: Rivals, wanted: list[str]) -> None:
    """Time the way from a number to its row and its price."""
    bare_call, rules = rivals.trie.iter_prefixes_with_ids, table.rules
    rows = [table.candidates(digits, numbered=False) for digits in wanted]

    def bare() -> None:
        for digits in wanted:
            list(bare_call(digits))

    def look_up() -> None:
        for digits in wanted:
            table.longest(digits)

    def candidates() -> None:
        for digits in wanted:
            table.candidates(digits, numbered=False)

    def prices() -> None:
        for row in rows:
            price(row, DURATION_MS, rules, explain=False)

    def explained() -> None:
        for row in rows:
            price(row, DURATION_MS, rules)

    def amount() -> None:
        for digits in wanted:
            price_by(Terms(table.candidates(digits, numbered=False), rules), DURATION_MS, explain=False)

    def amount_by_dict() -> None:
        for digits in wanted:
            rivals.decimals.price(digits, DURATION_MS)

    def look_up_by(rival: Finder) -> Callable[[], None]:
        def run() -> None:
            for digits in wanted:
                rival.find(digits)

        return run

    found = measure(
        {
            "bare": bare, "look_up": look_up, "candidates": candidates, "price": prices, "explained": explained,
            "amount": amount, "amount_by_dict": amount_by_dict, "dict": look_up_by(rivals.decimals),
            "sqlite": look_up_by(rivals.sqlite), "record": look_up_by(rivals.records),
        },
        len(wanted),
    )  # fmt: skip
    unit = found["bare"]
    print(f"number to row and amount, {len(wanted)} numbers, in units of one bare call ({unit * 1e6:.2f} µs):")
    for name, what, target in (
        ("bare", "the bare iter_prefixes_with_ids call", ""),
        ("look_up", "look-up", "target: 1.5x at most"),
        ("candidates", "rows for a number, as the rater asks for them", ""),
        ("price", "price() without explanation", "target: 8x at most"),
        ("explained", "price() with explanation", ""),
        ("amount", "number to amount", "never slower than the next"),
        ("amount_by_dict", "(a) number to amount: dict by length, Decimal", ""),
        ("dict", "(a) look-up: dict by length", ""),
        ("sqlite", "(b) look-up: sqlite", ""),
        ("record", "(c) look-up: RecordTrie", ""),
    ):
        line(what, f"{found[name] / unit:.2f}x {found[name] * 1e6:6.2f} µs", target)
    line("number to amount, against (a)", f"{found['amount'] / found['amount_by_dict']:.2f}x", "target: 1x at most")
    began = time.perf_counter()
    for digits in wanted[:2000]:
        table.candidates(digits)
    spent = (time.perf_counter() - began) / 2000
    line("the same with their lines in the deck, once a call", f"{spent / unit:.0f}x {spent * 1e6:6.2f} µs")


def making(folder: Path) -> RateTable:
    """Time how a table is made, in a process of its own."""
    path, text = folder / "world.table", folder / "world.csv"
    text.write_text(deck_text(), encoding="utf-8")
    told = subprocess.run([sys.executable, "-c", MAKE, text, path], check=True, capture_output=True, text=True).stdout
    seconds, idle, peak = map(float, told.split())
    began = time.perf_counter()
    table = RateTable.open(path)
    opened = time.perf_counter() - began
    print(f"table of {len(table)} prefixes:")
    line("bytes for each prefix", f"{path.stat().st_size / len(table):.2f}", "target: 4.5 at most")
    line("deck read and table built", f"{seconds:.2f} s", "target: below 3 s")
    line("peak memory of that (of the interpreter alone)", f"{peak:.0f} MB ({idle:.0f})", "target: below 150 MB")
    line("opened, verified and taken apart", f"{opened * 1e3:.0f} ms")
    return table


def durations(table: RateTable, digits: str) -> None:
    """Time a long call beside a short one: on a plain row, and on one with an evening and a weekend."""
    plain = Terms(table.candidates(digits), table.rules)
    timed = Terms(TIMED.candidates("4681234567"), TIMED.rules, datetime(2026, 3, 27, 12, 0, tzinfo=OSLO), OSLO)
    print("72 hours beside 10 seconds:")
    for what, terms in (("a row that always applies", plain), ("peak, evening and weekend (5 spans)", timed)):
        found = measure(
            {
                name: lambda terms=terms, ms=ms: [price_by(terms, ms, explain=False) for _ in range(200)]
                for name, ms in (("short", 10_000), ("long", LONG_MS))
            },
            200,
        )  # fmt: skip
        line(what, f"{found['long'] / found['short']:.2f}x {found['long'] * 1e6:6.2f} µs")


def main(count: int) -> None:
    """Measure everything once."""
    with tempfile.TemporaryDirectory() as folder:
        table = making(Path(folder))
        wanted = numbers(count)
        rivals = Rivals(load(Path(folder) / "world.csv"))
        verify(table, rivals, wanted)
        # What the rivals keep in memory is not looked through again and again while others are measured.
        gc.collect()
        gc.freeze()
        look_ups(table, rivals, wanted)
        durations(table, wanted[0])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21_000)
