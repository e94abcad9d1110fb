"""What a call costs the store and its card, beside the plain sqlite3 module doing the same transactions.

Run as a program: `python tests/bench/bench_store.py [CALLS [PENDING]]`. It prints figures and asserts nothing.

A call is three transactions (opened, answered, finished), and every twentieth call an acknowledgement of twenty. Syncs
of the journal are counted where they are made; SQLite makes one for each commit (WAL, synchronous=FULL).
"""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec

from agent.core.cdr import Cdr, OpenCall, Price, Step
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.store import Store
from agent.store.base import COUNT
from agent.store.schema import MIGRATIONS

MONTH, DAY, AT = "2026-03", "2026-03-01", "2026-03-01T12:00:00Z"
BATCH = 20


def open_call(number: int) -> OpenCall:
    """A call that begins."""
    return OpenCall(
        id=str(uuid.UUID(int=number)), instance="g" * 32, direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0,
        account="line1", own_number="+4721000001", number="+4681234567", boot_id="b" * 36, began_ms=1000, began_at=AT,
        time_trusted=True, last_alive_ms=1000, product="privat", price_list_sha256="a" * 64,
    )  # fmt: skip


def record(number: int) -> Cdr:
    """Its record, with a price of a usual length."""
    price = Price(
        product="privat", price_list="privat", version="7", prefix="46", destination="Sweden", currency="NOK",
        vat="included", amount_micro=610_000, exact="61/100", billed_s=61,
        steps=[Step(key="price.per_second", values={"rate": "0.60", "unit": "60", "seconds": "61", "sum": "0.61"})],
    )  # fmt: skip
    call = open_call(number)
    return Cdr(
        id=call.id, direction=call.direction, kind=call.kind, line=0, account=call.account, own_number=call.own_number,
        number=call.number, boot_id=call.boot_id, began_ms=1000, began_at=AT, answered_at=AT, time_trusted=True,
        duration_ms=60_001, setup_ms=5000, cause=Cause.NORMAL, released_by=Party.LOCAL, price=price,
    )  # fmt: skip


class Meter:
    """Latencies by name, syncs of the journal, and bytes that went to the disk."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self.syncs = 0
        self._bytes = self._written()
        self._sync = os.fdatasync

    def __enter__(self) -> Meter:
        def counting(descriptor: int) -> None:
            self.syncs += 1
            self._sync(descriptor)

        os.fdatasync = counting
        return self

    def __exit__(self, *_: object) -> None:
        os.fdatasync = self._sync

    def note(self, name: str, began: float) -> None:
        """So long did it take."""
        self.spent.setdefault(name, []).append(time.perf_counter() - began)

    @property
    def commits(self) -> int:
        """Transactions so far."""
        return sum(len(times) for times in self.spent.values())

    def report(self, title: str, calls: int) -> float:
        """Print everything; the median cost of a whole call in seconds."""
        written = self._written() - self._bytes
        for name, times in self.spent.items():
            cuts = statistics.quantiles(times, n=100)
            print(f"{title:<8}{name:<14}p50 {cuts[49] * 1e3:7.2f} ms   p99 {cuts[98] * 1e3:7.2f} ms")
        syncs = (self.commits + self.syncs) / calls
        print(f"{title:<8}a call: {syncs:.2f} fdatasyncs ({self.syncs / calls:.2f} of the journal), "
              f"{written / calls / 1024:.1f} kB to the disk")  # fmt: skip
        return sum(statistics.median(times) for times in self.spent.values())

    @staticmethod
    def _written() -> int:
        text = Path("/proc/self/io").read_text(encoding="ascii")
        return int(dict(line.split(": ") for line in text.splitlines())["write_bytes"])


async def ours(folder: Path, calls: int) -> float:
    """The store."""
    store = await Store.open(folder)

    async def timed(name: str, work: Callable[[], Awaitable[object]]) -> None:
        began = time.perf_counter()
        await work()
        meter.note(name, began)

    with Meter() as meter:
        for number in range(1, calls + 1):
            call, cdr = open_call(number), record(number)
            await timed("opened", lambda call=call: store.open_call(call))
            await timed("answered", lambda call=call: store.mark_answered(call.id, 6000))
            await timed("finished", lambda cdr=cdr: store.finish(cdr, MONTH, DAY))
            if number % BATCH == 0:
                ids = [str(uuid.UUID(int=one)) for one in range(number - BATCH + 1, number + 1)]
                await timed("acknowledged", lambda ids=ids: store.acknowledge(ids, AT))
        cost = meter.report("store", calls)
    await store.close()
    return cost


def plain(path: Path, calls: int) -> float:
    """The same transactions in the sqlite3 module, in the calling thread, without a second copy."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db, Meter() as meter:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 2000"):
            db.execute(f"PRAGMA {pragma}")
        for migration in MIGRATIONS:
            for statement in migration.statements:
                db.execute(statement)

        def timed(name: str, *statements: tuple[str, tuple[object, ...]]) -> None:
            began = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            for sql, parameters in statements:
                db.execute(sql, parameters)
            db.execute("COMMIT")
            meter.note(name, began)

        for number in range(1, calls + 1):
            call, cdr = open_call(number), record(number)
            body = msgspec.json.encode(cdr)
            timed("opened", ("INSERT INTO open_call(id, body, last_alive_ms) VALUES (?, ?, ?)",
                             (call.id, msgspec.json.encode(call), 1000)))  # fmt: skip
            timed("answered", ("UPDATE open_call SET answered_ms = 6000 WHERE id = ?", (call.id,)))
            timed(
                "finished",
                ("DELETE FROM open_call WHERE id = ?", (call.id,)),
                ("INSERT INTO cdr(id, body, sha256) VALUES (?, ?, ?)", (call.id, body, sha256(body).digest())),
                (COUNT, (MONTH, cdr.own_number, "NOK", 1, 61, 610_000)),
                (COUNT, (DAY, cdr.own_number, "NOK", 1, 61, 610_000)),
            )
            if number % BATCH == 0:
                timed("acknowledged", *(
                    ("UPDATE cdr SET state = 'acknowledged', acknowledged_ms = 1 WHERE id = ?",
                     (str(uuid.UUID(int=one)),))
                    for one in range(number - BATCH + 1, number + 1)
                ))  # fmt: skip
        return meter.report("plain", calls)


async def backlog(folder: Path, pending: int) -> None:
    """How long a start takes with so many records that wait, whole and after each copy was lost."""
    store = await Store.open(folder)
    await store.close()
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as db:
        db.execute("BEGIN")
        for number in range(1, pending + 1):
            body = msgspec.json.encode(record(number))
            db.execute("INSERT INTO cdr(id, body, sha256, periods) VALUES (?, ?, ?, ?)",
                       (str(uuid.UUID(int=number)), body, sha256(body).digest(), f"{MONTH} {DAY}"))  # fmt: skip
        for period in (MONTH, DAY):
            db.execute(COUNT, (period, "+4721000001", "NOK", pending, 61 * pending, 610_000 * pending))
        db.execute("COMMIT")

    async def start(what: str) -> None:
        began = time.perf_counter()
        store = await Store.open(folder)
        spent = time.perf_counter() - began
        waiting, totals = await store.pending_count(), await store.usage(MONTH)
        told = "nothing to tell" if store.damage is None else str(store.damage).split("; ", 1)[-1]
        await store.close()
        good = waiting == pending and totals[0].amount_micro == 610_000 * pending
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"start with {pending:,} pending, {what:<24}{spent:6.2f} s, peak {peak} MB, "
              f"{'complete' if good else 'NOT COMPLETE'}: {told}")  # fmt: skip

    await start("journal lost")
    await start("both whole")
    (folder / "store.db").unlink()
    await start("database lost")


def main(calls: int, pending: int) -> None:
    """Measure both, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        second = plain(folder / "plain.db", calls)
        first = asyncio.run(ours(folder / "store", calls))
        print(f"a call costs {first * 1e3:.2f} ms, plain sqlite3 {second * 1e3:.2f} ms: ratio {first / second:.2f}")
        asyncio.run(backlog(folder / "backlog", pending))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(numbers[0] if numbers else 400, numbers[1] if len(numbers) > 1 else 100_000)
