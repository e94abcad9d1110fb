"""How a backlog goes to the operator: records a second, and what it costs in memory.

Run as a program: `python tests/bench/bench_upload.py [PENDING]`. The store, the uploader and the HTTP client run as in
the agent, in a process of their own whose memory is measured; the operator only unpacks, reads and says `accepted`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import sqlite3
import sys
import tempfile
import time
import uuid
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec
import structlog
import structlog.testing
from aiohttp import web

from agent.clock import Moment, boot_ms, wall
from agent.core.cdr import Cdr, Price, Step
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.operator.api import CdrBatchResult, CdrResult, Verdict
from agent.operator.client import OperatorClient
from agent.operator.uploader import Uploader
from agent.store import Store

MONTH, DAY, AT = "2026-03", "2026-03-01", "2026-03-01T12:00:00Z"


class Identity(msgspec.Struct):
    """All that the fast operator reads of a record."""

    id: str


class Batch(msgspec.Struct):
    """All that the fast operator reads of a batch."""

    records: list[Identity]


def record(number: int) -> Cdr:
    """A record of a usual length."""
    price = Price(
        product="privat", price_list="privat", version="7", prefix="46", destination="Sweden", currency="NOK",
        vat="included", amount_micro=610_000, exact="61/100", billed_s=61,
        steps=[Step(key="price.per_second", values={"rate": "0.60", "unit": "60", "seconds": "61", "sum": "0.61"})],
    )  # fmt: skip
    return Cdr(
        id=str(uuid.UUID(int=number)), direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="line1",
        own_number="+4721000001", number="+4681234567", boot_id="b" * 36, began_ms=1000, began_at=AT, answered_at=AT,
        time_trusted=True, duration_ms=60_001, setup_ms=5000, cause=Cause.NORMAL, released_by=Party.LOCAL, price=price,
    )  # fmt: skip


async def fill(folder: Path, pending: int) -> None:
    """A store with so many records that wait, and its journal."""
    await (await Store.open(folder)).close()
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as db:
        db.execute("BEGIN")
        for number in range(1, pending + 1):
            body = msgspec.json.encode(record(number))
            db.execute("INSERT INTO cdr(id, body, sha256, periods) VALUES (?, ?, ?, ?)",
                       (str(uuid.UUID(int=number)), body, sha256(body).digest(), f"{MONTH} {DAY}"))  # fmt: skip
        db.execute("COMMIT")
    with structlog.testing.capture_logs():  # it finds that the journal lacks them all, and states them there
        await (await Store.open(folder)).close()


def peak_mb() -> float:
    """The most memory that this process has had resident, in MB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:"))) / 1024


async def upload(folder: Path, url: str) -> dict[str, float]:
    """Empty the store's outbox; what it took."""

    def now() -> Moment:
        return Moment("b", boot_ms(), wall(), trusted=True)

    imported = peak_mb()
    began = time.perf_counter()
    store = await Store.open(folder)
    found = {"imported_mb": imported, "recovery_s": time.perf_counter() - began, "opened_mb": peak_mb()}
    async with OperatorClient(url, "device", "secret") as client:
        uploader = Uploader(store, client, uniform=random.uniform, clock=now, wake=asyncio.Event())
        began = time.perf_counter()
        if await uploader.step() is not None:
            raise SystemExit("the operator did not take everything at once")
        found |= {"upload_s": time.perf_counter() - began, "uploaded_mb": peak_mb()}
        found["acknowledged"] = uploader.status.acknowledged
    began = time.perf_counter()
    found["purged"] = await store.purge("2100-01-01T00:00:00Z")
    found |= {"purge_s": time.perf_counter() - began, "purged_mb": peak_mb()}
    await store.close()
    return found


async def accept(request: web.Request) -> web.Response:
    """Take everything."""
    batch = msgspec.json.decode(gzip.decompress(await request.read()), type=Batch)
    results = [CdrResult(id=one.id, verdict=Verdict.ACCEPTED) for one in batch.records]
    return web.Response(body=msgspec.json.encode(CdrBatchResult(results=results)), content_type="application/json")


async def measure(folder: Path, pending: int) -> dict[str, float]:
    """Fill a store and let another process empty it."""
    await fill(folder, pending)
    app = web.Application()
    app.router.add_post("/v1/cdr", accept)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, __file__, str(folder), f"http://127.0.0.1:{listener.getsockname()[1]}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await child.communicate()
    finally:
        await runner.cleanup()
    if child.returncode:
        raise SystemExit(f"the upload ended with {child.returncode}")
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main(pending: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measure(Path(name) / "store", pending))
    print(f"start with {pending:,} pending {found['recovery_s']:.2f} s, peak {found['opened_mb']:.0f} MB "
          f"({found['imported_mb']:.0f} MB before)")  # fmt: skip
    print(f"upload of {found['acknowledged']:,.0f} records {found['upload_s']:.1f} s, "
          f"{found['acknowledged'] / found['upload_s']:,.0f} a second, peak {found['uploaded_mb']:.0f} MB")  # fmt: skip
    print(f"purge of {found['purged']:,.0f} records {found['purge_s']:.1f} s, peak {found['purged_mb']:.0f} MB")
    print(f"grown {found['purged_mb'] - found['opened_mb']:.1f} MB since the start")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(asyncio.run(upload(Path(sys.argv[1]), sys.argv[2]))))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
