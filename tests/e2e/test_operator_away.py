"""The operator fails in its own ways; the records wait, and arrive once."""

from __future__ import annotations

import pytest

from agent import outbox_request
from agent.lab.scene import SWEDEN_DIALLED
from agent.lab.world import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def one_call(home) -> str:
    """One call from lift to record; the record's id."""
    before = {one.cdr.id for one in await home.world.records()}
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)

    async def new() -> list[str]:
        return [one.cdr.id for one in await home.world.records() if one.cdr.id not in before]

    (written,) = await home.until("the call's record", new)
    return written


async def test_an_operator_that_is_overloaded_gets_the_record_later(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.world.order("/lab/faults", {"unavailable": 1})
    await one_call(home)
    waiting = await home.sees("a waiting record and why", lambda status: status["upload"]["last_error"])
    assert waiting["upload"]["pending"] == 1
    cdr = await home.record(since)
    await home.all_acknowledged()
    assert home.heard("operator", "cdr", words, id=cdr.id)[1]["verdict"] == "accepted"
    status = await home.sees("nothing waiting", lambda status: not status["upload"]["pending"])
    assert not status["upload"]["last_error"]


async def test_a_lost_acknowledgement_does_not_double_the_record(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.world.order("/lab/faults", {"lose_ack": 1})
    await one_call(home)
    cdr = await home.record(since)
    await home.hears("operator", "cdr", words, id=cdr.id, verdict="accepted")
    await home.hears("operator", "cdr", words, id=cdr.id, verdict="duplicate")
    await home.all_acknowledged()


async def test_an_operator_that_refuses_connections_gets_every_record_when_it_is_back(home) -> None:
    since = len(await home.received())
    file = home.world.scene.agent_config
    good = file.read_text()
    url = next(row for row in good.splitlines() if row.startswith("url ="))
    file.write_text(good.replace(url, f'url = "http://127.0.0.1:{free_port()}"'))
    try:
        await home.reload()
        await home.ready()
        await one_call(home)
        await one_call(home)
        status = await home.sees("two records waiting", lambda status: status["upload"]["pending"] == 2)
        assert status["upload"]["last_error"]
        assert any(problem["key"] == "problem.operator_away" for problem in status["problems"])
        assert len(await home.received()) == since
    finally:
        file.write_text(good)
    await home.reload()
    await home.all_acknowledged()
    assert len(await home.received()) == since + 2


async def test_a_record_that_the_operator_turns_down_holds_nothing_up(home) -> None:
    since = len(await home.received())
    await home.world.order("/lab/faults", {"unavailable": 1000})
    poisoned = await one_call(home)
    await home.world.order("/lab/faults", {"reject_ids": [poisoned]})
    await one_call(home)
    await home.reload()
    status = await home.sees("a record set apart", lambda status: status["upload"]["quarantined"] == 1)
    assert any(problem["key"] == "problem.quarantined" for problem in status["problems"])
    assert (await home.record(since)).id != poisoned

    # The operator has mended its side, and a technician says so.
    await home.world.order("/lab/faults", {})
    outbox_request.ask(home.world.scene.agent_folder, [poisoned])
    assert (await home.record(since, id=poisoned)).id == poisoned
    await home.sees("nothing set apart", lambda status: not status["upload"]["quarantined"])
    await home.all_acknowledged()
