"""A technician reads six digits from the page and dials them on a telephone of the house."""

from __future__ import annotations

import pytest

from agent.core.announcement import Announcement, Language
from agent.core.terms import Tone

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def dial(home, code: str, tone: Tone) -> list[tuple[Language, Announcement]]:
    with home.listening(0) as heard:
        await home.lift_for_dial_tone(0)
        home.phone(0).dial(code, 40, 40)
        await home.plays_tone(0, tone)
    await home.hang_up(0)
    return await home.announcements(heard)


async def test_the_code_of_the_page_admits_once_and_leaves_no_record(home) -> None:
    kept = len(await home.world.records())
    code = (await home.ready())["unlock"]["unlock_code"]
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert await dial(home, f"*99*{wrong}", Tone.SPECIAL) == [(Language.NB, Announcement.CODE_REFUSED)]
    assert (await home.ready())["unlock"].get("unlocked_until") is None

    assert await dial(home, f"*99*{code}#", Tone.CONFIRM) == [(Language.NB, Announcement.CODE_ACCEPTED)]
    status = await home.sees("who was admitted", lambda status: status["unlock"].get("unlocked_until"))
    assert status["unlock"]["unlock_code"] != code
    assert await dial(home, f"*99*{code}", Tone.SPECIAL) == [(Language.NB, Announcement.CODE_REFUSED)]

    assert len(await home.world.records()) == kept
    logs = home.world.agent_log.read_text() + home.world.gateway_log.read_text()
    assert "technician_code" in logs
    assert code not in logs
    assert wrong not in logs
