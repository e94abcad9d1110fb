"""kill -9 of the agent in the middle of its work: what it had promised is there, once."""

import random
import signal
import subprocess
import sys
import uuid

import pytest

from agent.store import Store, StoreLocked

WRITER = """
import asyncio, sys, uuid
from pathlib import Path
import msgspec
from agent.core.cdr import Cdr, OpenCall
from agent.store import Store

async def main(folder, first):
    store = await Store.open(Path(folder))
    print("ready", flush=True)
    template = msgspec.json.decode(sys.argv[3], type=Cdr)
    number = first
    while True:
        number += 1
        cdr = msgspec.structs.replace(template, id=str(uuid.UUID(int=number)))
        await store.open_call(OpenCall(
            id=cdr.id, instance="g", direction=cdr.direction, kind=cdr.kind, line=0, account="a",
            own_number=cdr.own_number, number=cdr.number, boot_id="b", began_ms=1, began_at=cdr.began_at,
            time_trusted=True, last_alive_ms=1))
        print("open", cdr.id, flush=True)
        await store.mark_alive([cdr.id], 5000)
        await store.finish(cdr, "2026-03", "2026-03-01")
        print("done", cdr.id, flush=True)
        if number % 7 == 0:
            pending = [kept.id for kept in await store.pending(5)]
            await store.acknowledge(pending, "2026-03-01T12:00:00Z")
            for acknowledged in pending:
                print("acknowledged", acknowledged, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""

CDR = """{"id":"00000000-0000-0000-0000-000000000000","direction":"outgoing","kind":"ordinary","line":0,"account":"a",
"own_number":"+4722000001","number":"+4791000000","boot_id":"b","began_ms":1,"began_at":"2026-03-01T12:00:00Z",
"time_trusted":true,"duration_ms":1500,"setup_ms":1,"cause":"normal","released_by":"local","price":{"product":"p",
"price_list":"p","version":"1","prefix":"47","destination":"d","currency":"NOK","vat":"included","amount_micro":1000003,
"exact":"1000003/1000000","billed_s":2,"steps":[]}}"""


def writer(folder, first):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), CDR], stdout=subprocess.PIPE, text=True
    )


def killed_writer(folder, first, lines):
    """Run a writer until it has said `lines` lines, kill it, and give back all it had said."""
    with writer(folder, first) as process:
        said = [process.stdout.readline().split() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += [words for line in process.stdout if len(words := line.split()) == 2 and len(words[1]) == 36]
        assert process.wait() == -signal.SIGKILL
    assert said[0] == ["ready"]
    return said[1:]


@pytest.mark.timeout(100)
async def test_ten_kills_lose_nothing_and_count_nothing_twice(tmp_path):
    folder = tmp_path / "store"
    chance = random.Random(20260301)
    promised, opened, acknowledged = set(), set(), set()
    for kill in range(10):
        for what, id_ in killed_writer(folder, kill * 1_000_000, chance.randint(2, 120)):
            {"open": opened, "done": promised, "acknowledged": acknowledged}[what].add(id_)
        store = await Store.open(folder)
        assert store.damage is None
        records = await store.recent(100_000)
        ids = [kept.cdr.id for kept in records]
        assert len(ids) == len(set(ids))
        assert promised <= set(ids)
        still_open = {call.id for call in await store.open_calls()}
        assert opened <= set(ids) | still_open
        assert not still_open & set(ids)
        assert acknowledged <= {kept.cdr.id for kept in records if kept.state == "acknowledged"}
        (row,) = await store.usage("2026-03")
        assert (row.calls, row.seconds, row.amount_micro) == (len(ids), 2 * len(ids), 1_000_003 * len(ids))
        assert [row] == await store.usage_day("2026-03-01")
        await store.close()
    assert len(promised) > 50
    assert uuid.UUID(max(promised)).int > 9_000_000


async def test_a_second_agent_process_is_refused_while_the_first_lives(tmp_path):
    folder = tmp_path / "store"
    with writer(folder, 0) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(StoreLocked):
                await Store.open(folder)
            async with await Store.open_reader(folder) as reader:
                assert await reader.pending_count() >= 0
        finally:
            process.kill()


def test_an_agent_that_fails_without_closing_its_store_ends(tmp_path):
    failing = (
        "import asyncio, sys, pathlib\nfrom agent.store import Store\n"
        "async def main():\n    global store\n    store = await Store.open(pathlib.Path(sys.argv[1]))\n"
        "    raise SystemExit(7)\nasyncio.run(main())"
    )
    ended = subprocess.run([sys.executable, "-c", failing, str(tmp_path)], timeout=20, check=False)
    assert ended.returncode == 7
