"""A caller is told in words why there is no call: first the words, then the tone."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.announcement import Announcement, Language
from agent.core.line import LONGEST_ANNOUNCEMENT_MS
from agent.core.terms import Cause, LineProfile, Tone
from agent.gateway.protocol import Configure, Decide, End, LineState


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(recordings=True)


def _granted(gateway, line=0, **lease):
    call_id = gateway.call_number("22334455", line)
    gateway.send(Decide(call_id=call_id, granted=True, **lease))
    return call_id


def _answered(gateway, line=0, **lease):
    call_id = _granted(gateway, line, **lease)
    gateway.peer_answers(call_id)
    return call_id


def wrong_number(gateway):
    gateway.lift()
    gateway.dial("01")


def unknown_service(gateway):
    gateway.lift()
    gateway.dial("*21#")


def unfinished_number(gateway):
    gateway.lift()
    gateway.dial("22")
    gateway.advance(15_000)


def refusal(gateway):
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=False, refusal="limit_month", announcement="limit_month"))


def agent_away(gateway):
    gateway.disconnect()
    gateway.call_number("22334455")


def agent_silent(gateway):
    gateway.call_number("22334455")
    gateway.advance(4_000)


def agent_lost_while_asked(gateway):
    gateway.call_number("22334455")
    gateway.disconnect()


def not_registered(gateway):
    gateway.registrar = type(gateway.registrar).SILENT
    gateway.crash()
    gateway.connect()
    gateway.call_number("22334455")


def no_slot(gateway):
    gateway.hold_slots(3)
    gateway.call_number("22334455")


def nobody_there(gateway):
    gateway.peer_refuses(_granted(gateway), 480)


def no_such_number(gateway):
    gateway.peer_refuses(_granted(gateway), 404)


def rejected(gateway):
    gateway.peer_refuses(_granted(gateway), 403)


def network_silent(gateway):
    gateway.peer_is_silent(_granted(gateway))
    gateway.peer_is_silent(gateway.legs[-1].call_id)


def time_is_up(gateway):
    _answered(gateway, until_ms=gateway.now + 60_000)
    gateway.advance(60_000)


def money_is_up(gateway):
    _answered(gateway, max_talk_ms=60_000, limit="balance")
    gateway.advance(60_000)


def ended_by_the_agent(gateway):
    gateway.send(End(call_id=_answered(gateway)))


def emergency_next_door(gateway):
    _answered(gateway)
    gateway.hold_slots(3)
    gateway.call_number("112", 1)


def emergency_in_vain(gateway):
    call_id = gateway.call_number("112")
    for _ in range(3):
        gateway.peer_refuses(call_id, 503)


@pytest.mark.parametrize(
    ("trouble", "said", "tone"),
    [
        (wrong_number, Announcement.NO_SUCH_NUMBER, Tone.SPECIAL),
        (unknown_service, Announcement.NO_SUCH_SERVICE, Tone.SPECIAL),
        (unfinished_number, Announcement.INCOMPLETE_NUMBER, Tone.CONGESTION),
        (refusal, Announcement.LIMIT_MONTH, Tone.SPECIAL),
        (agent_away, Announcement.UNAVAILABLE, Tone.CONGESTION),
        (agent_silent, Announcement.UNAVAILABLE, Tone.CONGESTION),
        (agent_lost_while_asked, Announcement.UNAVAILABLE, Tone.CONGESTION),
        (not_registered, Announcement.NETWORK_FAILURE, Tone.CONGESTION),
        (no_slot, Announcement.TOO_MANY_CALLS, Tone.CONGESTION),
        (nobody_there, Announcement.NO_ANSWER, Tone.CONGESTION),
        (no_such_number, Announcement.NO_SUCH_NUMBER, Tone.SPECIAL),
        (rejected, Announcement.REJECTED, Tone.CONGESTION),
        (network_silent, Announcement.NETWORK_FAILURE, Tone.CONGESTION),
        (time_is_up, Announcement.TIME_UP, Tone.CONGESTION),
        (money_is_up, Announcement.NO_BALANCE, Tone.CONGESTION),
        (ended_by_the_agent, Announcement.UNAVAILABLE, Tone.CONGESTION),
        (emergency_next_door, Announcement.PREEMPTED, Tone.CONGESTION),
        (emergency_in_vain, Announcement.EMERGENCY_FAILED, Tone.CONGESTION),
    ],
)
def test_the_reason_is_said_before_its_tone(gateway, trouble, said, tone):
    trouble(gateway)
    phone = gateway.phones[0]

    assert (phone.announcement, phone.tone, phone.speech) == (said, None, False)
    assert gateway_says(gateway).announcement == said
    gateway.announcement_over()
    assert (phone.announcement, phone.tone) == (None, tone)
    assert gateway_says(gateway).announcement == ""
    gateway.advance(60_000)
    assert phone.tone is Tone.HOWLER


def gateway_says(gateway):
    return [record for record in gateway.records if isinstance(record, LineState) and record.line == 0][-1]


@pytest.mark.parametrize(("code", "tone"), [(486, Tone.BUSY), (600, Tone.BUSY)])
def test_busy_needs_no_words(gateway, code, tone):
    gateway.peer_refuses(_granted(gateway), code)
    assert (gateway.phones[0].told, gateway.phones[0].tone) == ([], tone)


def test_a_call_that_the_far_end_has_ended_needs_none_either(gateway):
    gateway.peer_hangs_up(_answered(gateway))
    assert (gateway.phones[0].told, gateway.phones[0].tone) == ([], Tone.CONGESTION)


def test_what_the_network_has_said_itself_is_not_said_again(gateway):
    call_id = _granted(gateway)
    gateway.peer_rings(call_id, early_media=True)
    gateway.peer_refuses(call_id, 404)
    assert (gateway.phones[0].told, gateway.phones[0].tone) == ([], Tone.SPECIAL)


@pytest.mark.parametrize("profile", [profile for profile in LineProfile if profile.is_data])
def test_a_machine_hears_tones_only(gateway, configuration: Configure, profile):
    lines = [msgspec.structs.replace(entry, profile=profile) for entry in configuration.lines]
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=lines))
    for trouble in (wrong_number, refusal, agent_away):
        trouble(gateway)
        assert gateway.phones[0].tone in (Tone.SPECIAL, Tone.CONGESTION)
        gateway.hang_up()
        if not gateway.connected:
            gateway.connect()
    _answered(gateway, until_ms=gateway.now + 90_000, warn_at_ms=gateway.now + 30_000)
    gateway.advance(90_000)
    assert (gateway.phones[0].told, gateway.phones[0].warnings) == ([], 0)
    gateway.card_up()
    gateway.lift()
    gateway.dial("01")
    assert gateway.phones[0].told == [], "also after the card has restarted"


@pytest.mark.parametrize(
    ("lease", "said"),
    [
        ({"max_talk_ms": 120_000, "warn_talk_ms": 60_000, "limit": "month"}, Announcement.LIMIT_SOON),
        ({"until_ms": 1_200_000, "warn_at_ms": 1_100_000}, Announcement.TIME_UP_SOON),
    ],
)
def test_the_warning_is_said_into_the_conversation_which_goes_on(gateway, lease, said):
    call_id = _answered(gateway, **lease)
    gateway.advance(110_000)
    phone = gateway.phones[0]
    assert (phone.announcement, phone.warnings, phone.speech) == (said, 1, True)
    gateway.announcement_over()
    assert (phone.tone, phone.speech) == (None, True)
    assert gateway.call(call_id).cause is None


def test_an_unknown_announcement_leaves_the_tone(gateway):
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=False, refusal="new", announcement="from a later version"))
    assert (gateway.phones[0].told, gateway.phones[0].tone) == ([], Tone.SPECIAL)


def test_a_recording_that_never_ends_gives_way_to_the_tone(gateway):
    wrong_number(gateway)
    gateway.advance(LONGEST_ANNOUNCEMENT_MS)
    assert (gateway.phones[0].announcement, gateway.phones[0].tone) == (None, Tone.SPECIAL)


def test_hanging_up_ends_it_and_the_next_lift_has_dial_tone(gateway):
    wrong_number(gateway)
    gateway.hang_up()
    assert gateway.phones[0].announcement is None
    gateway.lift()
    assert gateway.phones[0].tone is Tone.DIAL


def test_112_behind_it_goes_through_and_silences_it(gateway):
    wrong_number(gateway)
    gateway.advance(2_500)
    assert gateway.phones[0].announcement is not None
    gateway.dial("112")
    assert gateway.legs[-1].emergency
    assert (gateway.phones[0].announcement, gateway.phones[0].tone) == (None, None)


def test_a_card_that_restarts_in_the_middle_forgets_it(gateway):
    wrong_number(gateway)
    gateway.card_up()
    assert (gateway.phones[0].announcement, gateway.phones[0].tone) == (None, Tone.DIAL)


def test_a_refused_call_has_the_same_record_whether_it_was_said_or_not(gateway):
    refusal(gateway)
    [call] = gateway.calls()
    assert (call.cause, call.refusal) == (Cause.REFUSED, "limit_month")


def test_the_language_and_the_folder_reach_the_gateway_with_its_configuration(gateway, configuration: Configure):
    gateway.send(
        msgspec.structs.replace(configuration, revision="2", language=Language.EN, announcements="/srv/studio")
    )
    assert (gateway.kept.language, gateway.kept.announcements) == (Language.EN, "/srv/studio")
