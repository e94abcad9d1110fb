"""The operator loses a record that it has acknowledged: the page says so, and stops when the operator has found it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from agent.lab.scene import SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WITHIN_S = 60.0


def keys(status) -> set[str]:
    return {problem["key"] for problem in status["problems"]}


async def test_a_record_that_the_operator_loses_is_shown_and_not_set_right(home) -> None:
    scene = home.world.scene
    file = scene.agent_config
    file.write_text(file.read_text().replace("[operator]\n", "[operator]\nusage_period_s = 10\n"))
    await home.reload()
    await home.ready()
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    await home.all_acknowledged()
    (cdr,) = await home.received()
    month = cdr.began_at[:7]
    before = await home.stored_usage(month)
    with closing(sqlite3.connect(scene.folder / "ledger.sqlite", timeout=10)) as ledger:
        rows = ledger.execute("SELECT * FROM record WHERE id = ?", (cdr.id,)).fetchall()
        assert len(rows) == 1
        ledger.execute("DELETE FROM record WHERE id = ?", (cdr.id,))
        ledger.commit()
    status = await home.sees("the difference", lambda status: "problem.usage_differs" in keys(status), WITHIN_S)
    assert status["usage_differences"] == 1
    assert await home.stored_usage(month) == before
    with closing(sqlite3.connect(scene.folder / "ledger.sqlite", timeout=10)) as ledger:
        ledger.execute(f"INSERT INTO record VALUES ({','.join('?' * len(rows[0]))})", rows[0])
        ledger.commit()
    await home.sees("no difference", lambda status: "problem.usage_differs" not in keys(status), WITHIN_S)
