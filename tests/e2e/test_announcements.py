"""What a household hears when a call can't be made, or must end: words, then the tone."""

from __future__ import annotations

import asyncio
import signal

import pytest

from agent.core.announcement import Announcement, Language
from agent.core.terms import Cause, Tone
from agent.gateway.recording import write_recording
from agent.lab.scene import SWEDEN_DIALLED
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import find, tone

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WORLD = {"pause": lambda _crashes: 0.2}
CAP = "0.04"
"""Some nine seconds to Sweden, so that the warning comes at once."""


async def order(home, **limits: str) -> None:
    await home.world.order("/lab/subscription", {"limits": limits})
    await home.reload()
    await home.sees("the caps", lambda status: len(status["money"].get("caps", [])) == len(limits))
    await home.ready()


async def test_a_wrong_number_is_said_before_its_tone_and_112_behind_it_goes_through(home) -> None:
    since = len(await home.received())
    with home.listening(0) as heard:
        await home.lift_for_dial_tone(0)
        home.phone(0).dial("01", 40, 40)
        await home.plays_tone(0, Tone.SPECIAL)
    assert await home.announcements(heard) == [(Language.NB, Announcement.NO_SUCH_NUMBER)]
    home.phone(0).dial("112", 40, 40)
    await home.speech(0)
    await home.hang_up(0)
    await home.record(since, number="112", cause=Cause.NORMAL)


async def test_112_is_not_kept_waiting_for_the_end_of_an_announcement(home) -> None:
    since = len(await home.received())
    await home.lift_for_dial_tone(0)
    phone = home.phone(0)
    phone.dial("01", 40, 40)
    await home.phone_shows(0, "an announcement", lambda: phone.audio_open)
    # The silence that tells a new number from the rest of the refused one.
    phone.pause(2_100)
    words = home.mark()
    phone.dial("112", 40, 40)
    await home.hears("operator", "invite", words)
    await home.speech(0)
    await home.hang_up(0)
    await home.record(since, number="112", cause=Cause.NORMAL)


async def test_a_refusal_says_which_limit_is_reached(home) -> None:
    since = len(await home.received())
    await order(home, month="0")
    with home.listening(0) as heard:
        await home.lift_for_dial_tone(0)
        home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
        await home.plays_tone(0, Tone.SPECIAL)
    assert await home.announcements(heard) == [(Language.NB, Announcement.LIMIT_MONTH)]
    await home.hang_up(0)
    await home.record(since, refusal="limit_month")
    await order(home)


async def test_a_call_is_warned_in_words_and_told_why_it_ended(home) -> None:
    since = len(await home.received())
    await order(home, call=CAP)
    with home.listening(1) as heard:
        await home.lift_for_dial_tone(1)
        home.phone(1).dial(SWEDEN_DIALLED, 40, 40)
        # Behind the words of the warning the far end is heard again.
        await home.speech(1)
        await home.record(since, line=1, cause=Cause.LIMIT_REACHED, limit="call")
        await home.plays_tone(1, Tone.CONGESTION)
    await home.hang_up(1)
    assert await home.announcements(heard) == [
        (Language.NB, Announcement.LIMIT_SOON),
        (Language.NB, Announcement.LIMIT_CALL),
    ]
    await order(home)


async def test_the_gateway_alone_says_that_calls_cannot_be_handled(home) -> None:
    words = home.mark()
    home.world.agent.hold()
    home.world.agent.signal(signal.SIGKILL)
    await home.agent_ends(words, "signal SIGKILL")
    try:
        with home.listening(0) as one, home.listening(1) as two:
            await asyncio.gather(home.lift_for_dial_tone(0), home.lift_for_dial_tone(1))
            home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
            home.phone(1).dial("01", 40, 40)
            await home.plays_tone(0, Tone.CONGESTION)
            await home.plays_tone(1, Tone.SPECIAL)
        await asyncio.gather(home.hang_up(0), home.hang_up(1))
        assert await home.announcements(one) == [(Language.NB, Announcement.UNAVAILABLE)]
        assert await home.announcements(two) == [(Language.NB, Announcement.NO_SUCH_NUMBER)]
    finally:
        home.world.agent.let_go()
    await home.ready()


async def reconfigured(home) -> None:
    """The agent has read its file again, and the gateway what it was sent."""
    log = home.world.gateway_log
    since = log.stat().st_size
    await home.reload()

    async def look() -> bool:
        return b"configuration_in_force" in log.read_bytes()[since:]

    await home.until("the gateway to take another configuration", look)
    await home.ready()


async def test_the_household_may_speak_english_and_the_operator_have_its_own_voice(home) -> None:
    studio = home.folder / "studio"
    (studio / "en").mkdir(parents=True)
    own = tone(1500, 700, -14) + tone(700, 500, -14)
    (studio / "en" / f"{Announcement.NO_SUCH_SERVICE}.wav").write_bytes(write_recording(encode_alaw(own)))
    file = home.world.scene.agent_config
    before = file.read_text()
    assert "[general]" not in before
    file.write_text(f'{before}\n[general]\nlanguage = "en"\nannouncements = "{studio}"\n')
    try:
        await reconfigured(home)
        with home.listening(0) as heard:
            await home.lift_for_dial_tone(0)
            home.phone(0).dial("01", 40, 40)
            await home.plays_tone(0, Tone.SPECIAL)
            await home.hang_up(0)
        assert await home.announcements(heard) == [(Language.EN, Announcement.NO_SUCH_NUMBER)]
        with home.listening(1) as heard:
            await home.lift_for_dial_tone(1)
            home.phone(1).dial("*21#", 40, 40)
            await home.plays_tone(1, Tone.SPECIAL)
            await home.hang_up(1)
        assert find(bytes(heard), own)[0] > 0.75
    finally:
        file.write_text(before)
        await reconfigured(home)
