"""What a person at the telephone hears and sees, call by call."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.media import MediaStats, SpeechCounters, SpeechStats
from agent.core.terms import CallPhase, Cause, Lamp, LineProfile, Party, Tone
from agent.gateway.fake import FakeGateway, RegistrarMood
from agent.gateway.protocol import (
    MAX_UNRELEASED,
    AccountState,
    CallState,
    CardState,
    Decide,
    End,
    Exercise,
    LineState,
    Log,
    Release,
    Route,
)


def _granted(gateway: FakeGateway, line: int = 0, **grant: object) -> str:
    call_id = gateway.call_number("22334455", line)
    gateway.send(Decide(call_id=call_id, granted=True, **grant))
    return call_id


def _ended(gateway: FakeGateway, call_id: str) -> tuple[Cause | None, Party | None]:
    call = gateway.call(call_id)
    assert call.phase is CallPhase.ENDED
    return call.cause, call.released_by


def test_callers_who_leave_no_record_leave_nothing_behind(gateway):
    gateway.lift(0)
    for _ in range(3 * MAX_UNRELEASED):
        gateway.incoming("+4722000001")
    switch = gateway._process.switch
    assert set(switch._x.callers) <= set(switch._x.calls)
    assert len(switch._x.calls) <= MAX_UNRELEASED


# --- outgoing --------------------------------------------------------------------------------------------------------


def test_every_tone_has_its_shipped_definition(configuration):
    assert set(configuration.tones) == set(Tone)
    assert configuration.tones[Tone.WARNING].once
    for spec in configuration.tones.values():
        assert any(segment.frequencies for segment in spec.segments)


def test_dial_tone_until_the_first_digit(gateway):
    gateway.lift()
    assert gateway.phones[0].tone is Tone.DIAL

    gateway.dial("2")

    assert gateway.phones[0].tone is None


@pytest.mark.parametrize(
    ("outgoing", "user"), [("plus", "+4722334455"), ("digits", "4722334455"), ("national", "22334455")]
)
def test_the_number_travels_as_the_platform_wants_it(gateway, configuration, outgoing, user):
    numbers = msgspec.structs.replace(configuration.numbers, outgoing=outgoing)
    gateway.send(msgspec.structs.replace(configuration, revision="2", numbers=numbers))

    call_id = _granted(gateway)

    assert gateway.leg(call_id).user == user
    assert gateway.call(call_id).number == "+4722334455"
    assert gateway.call(call_id).own_number == "+4722000001"


def test_nothing_is_sent_before_the_agent_has_answered(gateway):
    call_id = gateway.call_number("22334455")

    assert not gateway.legs
    assert gateway.call(call_id).phase is CallPhase.ASKED
    assert gateway.phones[0].tone is None


def test_ringback_then_silence_and_speech(gateway):
    call_id = _granted(gateway)
    gateway.peer_rings(call_id)
    assert (gateway.phones[0].tone, gateway.phones[0].speech) == (Tone.RINGBACK, False)

    gateway.peer_answers(call_id)

    assert (gateway.phones[0].tone, gateway.phones[0].speech) == (None, True)


def test_sound_from_the_far_end_replaces_our_ringback(gateway):
    call_id = _granted(gateway)
    gateway.peer_rings(call_id, early_media=True)
    gateway.peer_rings(call_id)

    assert (gateway.phones[0].tone, gateway.phones[0].speech) == (None, True)


@pytest.mark.parametrize(
    ("code", "cause", "party", "tone"),
    [
        (486, Cause.BUSY, Party.REMOTE, Tone.BUSY),
        (600, Cause.BUSY, Party.REMOTE, Tone.BUSY),
        (603, Cause.REMOTE_REFUSED, Party.REMOTE, Tone.BUSY),
        (404, Cause.NO_SUCH_NUMBER, Party.REMOTE, Tone.SPECIAL),
        (484, Cause.NO_SUCH_NUMBER, Party.REMOTE, Tone.SPECIAL),
        (480, Cause.NO_ANSWER, Party.REMOTE, Tone.CONGESTION),
        (403, Cause.REMOTE_REFUSED, Party.REMOTE, Tone.CONGESTION),
        (500, Cause.NETWORK_FAILURE, Party.SYSTEM, Tone.CONGESTION),
        (503, Cause.NETWORK_FAILURE, Party.SYSTEM, Tone.CONGESTION),
        (302, Cause.REDIRECTED, Party.REMOTE, Tone.CONGESTION),
    ],
)
def test_each_refusal_has_its_tone_and_cause(gateway, code, cause, party, tone):
    call_id = _granted(gateway)
    gateway.peer_rings(call_id)
    gateway.peer_refuses(call_id, code)

    assert _ended(gateway, call_id) == (cause, party)
    assert gateway.call(call_id).sip_code == code
    assert gateway.phones[0].tone is tone


def test_a_platform_that_does_not_answer_is_congestion(gateway):
    call_id = _granted(gateway)
    gateway.peer_is_silent(call_id)
    gateway.peer_is_silent(call_id)

    assert _ended(gateway, call_id) == (Cause.NETWORK_FAILURE, Party.SYSTEM)
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_hanging_up_before_the_answer_cancels(gateway):
    call_id = _granted(gateway)
    gateway.peer_rings(call_id)
    gateway.hang_up()

    assert _ended(gateway, call_id) == (Cause.CANCELLED, Party.LOCAL)
    assert gateway.leg(call_id).over
    assert gateway.phones[0].tone is None


def test_hanging_up_while_the_agent_thinks_ends_the_call(gateway):
    call_id = gateway.call_number("22334455")
    gateway.hang_up()
    gateway.send(Decide(call_id=call_id, granted=True))

    assert _ended(gateway, call_id) == (Cause.CANCELLED, Party.LOCAL)
    assert not gateway.legs


def test_the_far_end_hangs_up_tone_until_on_hook_howler_after_a_minute(gateway):
    call_id = _granted(gateway)
    gateway.peer_answers(call_id)
    gateway.peer_hangs_up(call_id)

    assert _ended(gateway, call_id) == (Cause.NORMAL, Party.REMOTE)
    assert (gateway.phones[0].tone, gateway.phones[0].speech) == (Tone.CONGESTION, False)
    gateway.advance(60_000)
    assert gateway.phones[0].tone is Tone.HOWLER
    gateway.hang_up()
    assert gateway.phones[0].tone is None


def test_digits_in_a_call_travel_as_dtmf(gateway):
    call_id = _granted(gateway)
    gateway.dial("9")
    gateway.peer_answers(call_id)
    gateway.dial("12#*")

    assert gateway.leg(call_id).digits == "12#*"


@pytest.mark.parametrize("dialled", ["01", "22#", "*99*22334455#", "#22#"])
def test_impossible_numbers_and_service_codes_get_the_special_tone(gateway, dialled):
    gateway.lift()
    gateway.dial(dialled)

    assert gateway.phones[0].tone is Tone.SPECIAL
    assert not gateway.calls()


@pytest.mark.parametrize("dialled", ["", "22"])
def test_whoever_stops_dialling_hears_congestion_and_then_the_howler(gateway, dialled):
    gateway.lift()
    gateway.dial(dialled)
    gateway.advance(15_000)
    assert gateway.phones[0].tone is Tone.CONGESTION

    gateway.advance(60_000)

    assert gateway.phones[0].tone is Tone.HOWLER


def test_the_howler_comes_when_the_country_wants_it_also_behind_a_lost_card(gateway, configuration):
    analogue = msgspec.structs.replace(configuration.analogue, howler_s=20)
    gateway.send(msgspec.structs.replace(configuration, revision="2", analogue=analogue))
    gateway.card_down()
    gateway.card_up()
    gateway.lift()
    gateway.advance(15_000 + 19_999)
    assert gateway.phones[0].tone is Tone.CONGESTION
    gateway.advance(1)
    assert gateway.phones[0].tone is Tone.HOWLER


@pytest.mark.parametrize(("dialled", "patience_ms"), [("194", 3_000), ("0046812345", 4_000)])
def test_an_open_number_is_called_after_its_silence_or_at_once_with_a_hash(gateway, dialled, patience_ms):
    gateway.lift()
    gateway.dial(dialled, gap_ms=100)
    gateway.advance(patience_ms - 101)
    assert not gateway.calls()
    gateway.advance(1)
    assert len(gateway.calls()) == 1
    gateway.hang_up()

    gateway.call_number(dialled + "#")

    assert len(gateway.calls()) == 2


# --- the agent -------------------------------------------------------------------------------------------------------


def test_a_refusal_is_heard_and_recorded(gateway):
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=False, refusal="cap_reached", tone=Tone.BUSY))

    assert _ended(gateway, call_id) == (Cause.REFUSED, Party.SYSTEM)
    assert gateway.call(call_id).refusal == "cap_reached"
    assert gateway.phones[0].tone is Tone.BUSY


def test_without_an_agent_congestion_at_once(make_gateway):
    gateway = make_gateway(agent=False)
    call_id = gateway.call_number("22334455")

    assert _ended(gateway, call_id) == (Cause.AGENT_UNAVAILABLE, Party.SYSTEM)
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_an_agent_that_dies_while_asked_is_congestion_at_once(gateway):
    call_id = gateway.call_number("22334455")
    gateway.disconnect()

    assert _ended(gateway, call_id) == (Cause.AGENT_UNAVAILABLE, Party.SYSTEM)


def test_a_silent_agent_is_congestion_and_its_late_answer_is_ignored(gateway):
    call_id = gateway.call_number("22334455")
    gateway.advance(4_000)
    assert _ended(gateway, call_id) == (Cause.AGENT_UNAVAILABLE, Party.SYSTEM)

    gateway.send(Decide(call_id=call_id, granted=True))

    assert not gateway.legs
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_granted_speech_ends_200_ms_early_after_a_warning_even_with_the_agent_gone(gateway):
    call_id = _granted(gateway, max_talk_ms=60_000, warn_talk_ms=30_000, limit="month")
    gateway.peer_rings(call_id)
    gateway.advance(20_000)
    gateway.peer_answers(call_id)
    gateway.disconnect()
    gateway.advance(59_799)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED
    gateway.advance(1)

    ended = gateway.call(call_id)
    assert (ended.cause, ended.limit, ended.max_talk_ms) == (Cause.LIMIT_REACHED, "month", 60_000)
    assert ended.ended_ms - ended.answered_ms == 59_800


def test_the_call_is_ended_200_ms_before_its_limit_after_a_warning_even_with_the_agent_gone(gateway):
    until = gateway.now + 60_000
    call_id = _granted(gateway, until_ms=until, warn_at_ms=until - 30_000)
    gateway.peer_answers(call_id)
    gateway.disconnect()
    gateway.advance(until - 201 - gateway.now)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED

    gateway.advance(1)

    assert _ended(gateway, call_id) == (Cause.LIMIT_REACHED, Party.SYSTEM)
    assert gateway.call(call_id).ended_ms == until - 200
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_a_grant_that_is_already_over_sends_nothing(gateway):
    call_id = _granted(gateway, until_ms=gateway.now + 100)

    assert _ended(gateway, call_id) == (Cause.LIMIT_REACHED, Party.SYSTEM)
    assert not gateway.legs


def test_a_new_lease_replaces_the_old_one(gateway):
    call_id = _granted(gateway, until_ms=gateway.now + 10_000)
    gateway.peer_answers(call_id)
    gateway.send(Decide(call_id=call_id, granted=True, until_ms=gateway.now + 60_000))
    gateway.advance(50_000)

    assert gateway.call(call_id).phase is CallPhase.ANSWERED


def test_the_agent_ends_a_call(gateway):
    call_id = _granted(gateway)
    gateway.send(End(call_id=call_id, reason="technician"))

    assert _ended(gateway, call_id) == (Cause.ENDED_BY_AGENT, Party.SYSTEM)
    assert gateway.leg(call_id).over


def test_beyond_64_unreleased_calls_ordinary_ones_are_refused_until_a_release(gateway):
    for _ in range(MAX_UNRELEASED):
        gateway.peer_refuses(_granted(gateway))
        gateway.hang_up()
    gateway.lift()
    gateway.dial("22334455")
    assert gateway.phones[0].tone is Tone.CONGESTION
    assert len(gateway.calls()) == MAX_UNRELEASED
    gateway.hang_up()

    gateway.send(Release(call_id=gateway.calls()[0].call_id))

    assert gateway.call(gateway.call_number("22334455")).phase is CallPhase.ASKED


def test_dialling_without_an_agent_leaves_room_for_incoming_calls(make_gateway):
    gateway = make_gateway(agent=False)
    for _ in range(2 * MAX_UNRELEASED):
        gateway.lift()
        gateway.dial("22334455")
        gateway.hang_up()

    gateway.incoming("+4722000001")

    assert gateway.phones[0].ringing


def test_a_live_call_is_not_released(gateway):
    call_id = _granted(gateway)
    gateway.send(Release(call_id=call_id))

    assert gateway.call(call_id).phase is CallPhase.GRANTED


def test_without_registration_an_ordinary_call_is_congestion_at_once(configuration):
    gateway = FakeGateway()
    gateway.registrar = RegistrarMood.REFUSES
    gateway.connect()
    gateway.send(configuration)

    assert _ended(gateway, gateway.call_number("22334455")) == (Cause.NETWORK_FAILURE, Party.SYSTEM)


# --- incoming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("called", ["+4722000002", "4722000002", "22000002", "004722000002"])
def test_all_free_lines_of_the_route_ring_however_the_number_is_written(gateway, called):
    call_id = gateway.incoming(called, "+4699887766")

    assert [phone.ringing for phone in gateway.phones] == [True, True]
    assert gateway.phones[0].caller == "004699887766"
    assert gateway.call(call_id).own_number == "+4722000002"
    assert gateway.phones[0].lamp is Lamp.BLINK


def test_a_contact_user_that_is_no_number_rings_the_lines_of_the_account(gateway):
    gateway.incoming("u1-a8f3", account="home", bound=True)

    assert [phone.ringing for phone in gateway.phones] == [True, True]


@pytest.mark.parametrize(
    ("invite", "number", "ringing"),
    [
        ({"called": "", "called_party": "+4722000001"}, "+4722000001", [True, False]),
        ({"called": "", "addressed": "22000001"}, "+4722000001", [True, False]),
        # A diverted call: To is another's number, or one of ours that it was diverted from.
        ({"called": "", "called_party": "22000001", "addressed": "+4799887766"}, "+4722000001", [True, False]),
        ({"called": "22000001", "called_party": "22000002", "addressed": "22000002"}, "+4722000001", [True, False]),
        ({"called": "", "called_party": "22000001", "addressed": "22000002"}, "+4722000001", [True, False]),
        ({"called": "", "addressed": "+4799887766"}, "", [True, True]),
        ({"called": "", "addressed": "+4722000003"}, "", [True, True]),
    ],
)
def test_a_call_to_one_of_several_numbers_of_a_registration_rings_only_its_lines(
    gateway, configuration, invite, number, ringing
):
    others = [*configuration.routes, Route(number="+4722000003", account="other", lines=[0])]
    gateway.send(msgspec.structs.replace(configuration, revision="three numbers", routes=others))

    call_id = gateway.incoming(**invite, account="home", bound=True)

    assert gateway.call(call_id).own_number == number
    assert [phone.ringing for phone in gateway.phones] == ringing


def test_a_call_that_came_to_no_contact_of_ours_is_judged_by_its_number_alone(gateway, configuration):
    others = [*configuration.routes, Route(number="+4722000003", account="other", lines=[1])]
    gateway.send(msgspec.structs.replace(configuration, revision="three numbers", routes=others))

    call_id = gateway.incoming("", addressed="+4722000003", account="home")

    assert gateway.call(call_id).own_number == "+4722000003"
    assert [phone.ringing for phone in gateway.phones] == [False, True]


@pytest.mark.parametrize("to", ["home", "100", "", "+4799887766"])
def test_what_came_to_no_contact_of_ours_and_names_no_number_of_ours_rings_nowhere(gateway, to):
    call_id = gateway.incoming("home", addressed=to, account="home")

    assert not any(phone.ringing for phone in gateway.phones)
    assert _ended(gateway, call_id) == (Cause.NO_SUCH_NUMBER, Party.SYSTEM)
    assert gateway.call(call_id).sip_code == 404


def test_without_numbers_a_registration_is_called_by_whatever_its_provider_writes(gateway, configuration):
    gateway.send(msgspec.structs.replace(configuration, revision="no numbers", routes=[]))

    gateway.incoming("home", account="home")

    assert any(phone.ringing for phone in gateway.phones)


def test_the_first_handset_takes_the_call_and_the_other_falls_silent(gateway):
    call_id = gateway.incoming("+4722000002")
    gateway.lift(1)

    assert [phone.ringing for phone in gateway.phones] == [False, False]
    assert gateway.phones[1].speech
    assert (gateway.call(call_id).phase, gateway.call(call_id).line) == (CallPhase.ANSWERED, 1)
    gateway.lift(0)
    assert gateway.phones[0].tone is Tone.DIAL
    gateway.hang_up(1)
    assert _ended(gateway, call_id) == (Cause.NORMAL, Party.LOCAL)


def test_a_busy_line_is_busy(gateway):
    gateway.lift(0)
    call_id = gateway.incoming("+4722000001")

    assert _ended(gateway, call_id) == (Cause.NO_LINE_FREE, Party.SYSTEM)
    assert gateway.call(call_id).sip_code == 486


def test_a_line_rings_for_one_call_at_a_time(gateway):
    gateway.incoming("+4722000001")
    second = gateway.incoming("+4722000002")
    third = gateway.incoming("+4722000002")

    assert gateway.call(second).phase is CallPhase.RINGING
    assert _ended(gateway, third) == (Cause.NO_LINE_FREE, Party.SYSTEM)
    gateway.peer_hangs_up(second)
    assert [phone.ringing for phone in gateway.phones] == [True, False]


def test_a_handset_that_is_reported_down_while_it_rings_goes_on_ringing(gateway):
    call_id = gateway.incoming("+4722000002")
    gateway.hang_up(0)

    assert [phone.ringing for phone in gateway.phones] == [True, True]
    assert gateway.call(call_id).phase is CallPhase.RINGING


def test_nobody_comes(gateway):
    call_id = gateway.incoming("+4722000001")
    gateway.advance(90_000)

    assert _ended(gateway, call_id) == (Cause.NO_ANSWER, Party.LOCAL)
    assert gateway.call(call_id).sip_code == 480
    assert not gateway.phones[0].ringing


def test_the_caller_gives_up(gateway):
    call_id = gateway.incoming("+4722000001")
    gateway.peer_hangs_up(call_id)

    assert _ended(gateway, call_id) == (Cause.CANCELLED, Party.REMOTE)
    assert not gateway.phones[0].ringing


def test_a_number_that_is_not_ours_is_not_found(gateway):
    call_id = gateway.incoming("+4733333333", account="stranger")

    assert _ended(gateway, call_id) == (Cause.NO_SUCH_NUMBER, Party.SYSTEM)
    assert gateway.call(call_id).sip_code == 404


def test_incoming_calls_need_no_agent(make_gateway):
    gateway = make_gateway(agent=False)
    call_id = gateway.incoming("+4722000001")
    gateway.lift(0)
    gateway.advance(5000)
    gateway.peer_hangs_up(call_id)

    gateway.connect()

    assert _ended(gateway, call_id) == (Cause.NORMAL, Party.REMOTE)


def test_a_stranger_s_text_is_cut_not_believed(gateway):
    call_id = gateway.incoming("+4722000001", "<script>" + "9" * 4000)

    assert len(gateway.call(call_id).number) <= 64


# --- card, configuration, stop ---------------------------------------------------------------------------------------


def test_a_lost_card_ends_its_calls_and_leaves_the_registrations(gateway):
    outgoing = _granted(gateway)
    gateway.peer_answers(outgoing)
    incoming = gateway.incoming("+4722000002")
    gateway.card_down("no answer for 3 s")

    assert _ended(gateway, outgoing) == (Cause.CARD_LOST, Party.SYSTEM)
    assert _ended(gateway, incoming) == (Cause.CARD_LOST, Party.SYSTEM)
    assert all(leg.over for leg in gateway.legs)
    assert all(record.registered for record in gateway.connect() if isinstance(record, AccountState))
    gateway.card_up()
    assert gateway.phones[0].tone is Tone.DIAL
    assert gateway.phones[0].lamp is Lamp.IN_USE


def test_no_line_rings_on_a_card_that_is_gone(gateway):
    gateway.card_down()
    gateway.advance(1_000)
    waiting = gateway.incoming("+4722000001")
    gateway.advance(1_999)
    assert gateway.call(waiting).phase is not CallPhase.ENDED
    gateway.advance(1)
    for call_id in (waiting, gateway.incoming("+4722000001")):
        assert _ended(gateway, call_id) == (Cause.CARD_LOST, Party.SYSTEM)
        assert gateway.call(call_id).sip_code == 480


@pytest.mark.parametrize("go", [FakeGateway.card_down, lambda gateway: gateway.crash(card=False)])
def test_a_call_that_comes_while_the_card_starts_waits_a_moment_and_rings(gateway, go):
    go(gateway)
    gateway.connect()
    call_id = gateway.incoming("+4722000001")
    gateway.advance(2_000)
    assert not gateway.phones[0].ringing
    assert gateway.call(call_id).ringing_ms is None
    gateway.card_up()
    assert gateway.phones[0].ringing
    gateway.lift()
    gateway.advance(5_000)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED


def test_a_caller_who_gives_up_while_the_card_starts_rings_nowhere(gateway):
    gateway.card_down()
    call_id = gateway.incoming("+4722000001")
    gateway.peer_hangs_up(call_id)
    gateway.card_up()
    assert not gateway.phones[0].ringing
    gateway.advance(10_000)
    assert _ended(gateway, call_id) == (Cause.CANCELLED, Party.REMOTE)


def test_a_handset_that_lies_beside_the_telephone_takes_no_call_when_the_card_comes(gateway):
    gateway.lift()
    gateway.card_down()
    call_id = gateway.incoming("+4722000001")
    gateway.card_up()
    assert gateway.phones[0].tone is Tone.DIAL
    assert _ended(gateway, call_id) == (Cause.NO_LINE_FREE, Party.SYSTEM)


def test_a_configuration_in_mid_call_does_not_disturb_the_call(gateway, configuration):
    call_id = _granted(gateway)
    gateway.peer_answers(call_id)
    changed = msgspec.structs.replace(configuration.accounts[0], password="new")
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[changed]))

    assert gateway.kept.revision == "1"
    assert gateway.phones[0].speech
    gateway.hang_up()
    assert _ended(gateway, call_id) == (Cause.NORMAL, Party.LOCAL)
    assert gateway.kept.revision == "2"


def test_a_configuration_that_leaves_the_account_alone_is_used_in_mid_call(gateway, configuration):
    call_id = _granted(gateway)
    gateway.send(msgspec.structs.replace(configuration, revision="2", ring_timeout_ms=5000))
    gateway.peer_answers(call_id)

    assert gateway.kept.revision == "2"
    assert gateway.phones[0].speech


def test_a_technician_rings_and_sounds_an_idle_line_only(gateway):
    gateway.send(Exercise(line=0, what="ring", duration_ms=2000))
    assert gateway.phones[0].ringing
    gateway.advance(2000)
    assert not gateway.phones[0].ringing
    gateway.lift(0)
    gateway.send(Exercise(line=0, what="tone", tone=Tone.BUSY, duration_ms=2000))
    assert gateway.phones[0].tone is Tone.BUSY
    gateway.advance(2000)
    assert gateway.phones[0].tone is Tone.DIAL
    gateway.dial("22334455")
    gateway.send(Exercise(line=0, what="ring", duration_ms=2000))
    assert not gateway.phones[0].ringing


def test_a_trial_gives_way_to_a_call_and_to_a_hand(gateway):
    gateway.send(Exercise(line=0, what="ring", duration_ms=60_000))
    call_id = gateway.incoming("+4722000001")
    gateway.advance(61_000)
    assert gateway.phones[0].ringing
    gateway.peer_hangs_up(call_id)
    gateway.send(Exercise(line=0, what="ring", duration_ms=60_000))

    gateway.lift(0)

    assert gateway.phones[0].tone is Tone.DIAL


def test_stopping_ends_calls_and_registrations_and_starts_nothing(gateway):
    call_id = _granted(gateway)
    gateway.stop()

    assert gateway.finished
    assert _ended(gateway, call_id) == (Cause.SHUTDOWN, Party.SYSTEM)


# --- records ---------------------------------------------------------------------------------------------------------


def test_every_call_ends_with_exactly_one_ended_record(gateway):
    for end in (gateway.peer_refuses, gateway.peer_hangs_up, gateway.peer_is_silent):
        end(_granted(gateway))
        gateway.hang_up()
    gateway.advance(100_000)

    ended = [r.call_id for r in gateway.records if isinstance(r, CallState) and r.phase is CallPhase.ENDED]
    assert len(ended) == len(set(ended)) == 3


def test_records_hold_counts_not_digits_and_logs_hold_no_number(gateway):
    call_id = _granted(gateway)
    gateway.peer_answers(call_id)
    gateway.hang_up()
    gateway.incoming("+4722000001", "+4799887766")

    assert max(r.digits for r in gateway.records if isinstance(r, LineState)) == 8
    logs = [r for r in gateway.records if isinstance(r, Log)]
    assert {"call_asked", "call_answered", "call_ended", "account_registered", "card_up"} <= {r.event for r in logs}
    for record in logs:
        for number in ("22334455", "99887766", "22000001"):
            assert number not in record.event + record.detail


def test_the_same_record_is_not_published_twice_running(gateway):
    gateway.records.clear()
    _granted(gateway)
    gateway.advance(30_000)
    last: dict[object, object] = {}
    for record in gateway.records:
        if isinstance(record, (LineState, CallState, AccountState)):
            key = getattr(record, "call_id" if isinstance(record, CallState) else type(record).__struct_fields__[0])
            assert last.get((type(record), key)) != record
            last[type(record), key] = record


def test_the_card_is_told_to_the_agent(gateway):
    gateway.card_down("unplugged")

    cards = [record for record in gateway.connect() if isinstance(record, CardState)]
    assert cards == [CardState(up=False, reason="unplugged")]


def test_keys_of_the_far_end_are_heard_in_the_handset_while_the_call_is_up(gateway):
    call_id = _granted(gateway)
    gateway.peer_presses(call_id, "9")
    gateway.peer_answers(call_id)
    gateway.peer_presses(call_id, "12#*X")
    gateway.hang_up()
    gateway.peer_presses(call_id, "3")

    assert gateway.phones[0].keys == "12#*"


def test_a_machine_hears_no_warning_tone_in_its_call(gateway, configuration):
    for profile, heard in ((LineProfile.PHONE, True), (LineProfile.FAX, False)):
        line = msgspec.structs.replace(configuration.lines[0], profile=profile)
        gateway.send(msgspec.structs.replace(configuration, revision=profile.value, lines=[line]))
        until = gateway.now + 120_000
        gateway.peer_answers(_granted(gateway, until_ms=until, warn_at_ms=until - 30_000))
        gateway.advance(100_000)
        assert (gateway.phones[0].warnings == 1) is heard
        gateway.phones[0].warnings = 0
        gateway.hang_up()


def test_a_call_in_which_a_machine_answers_hears_no_warning_tone_and_the_next_one_does(gateway):
    for machine in (True, False):
        until = gateway.now + 120_000
        gateway.machine()  # nobody speaks yet: it means nothing
        gateway.peer_answers(_granted(gateway, until_ms=until, warn_at_ms=until - 30_000))
        if machine:
            gateway.machine()
        gateway.advance(100_000)
        assert (gateway.phones[0].warnings == 0) is machine
        gateway.phones[0].warnings = 0
        gateway.hang_up()


def test_the_calls_record_tells_what_happened_to_its_speech(make_gateway):
    speech = SpeechStats(to_network=SpeechCounters(frames=500, slips=1), to_line=SpeechCounters(concealed=2), lost=1)
    gateway = make_gateway()
    gateway.stats = MediaStats(rx_packets=7, speech=speech)
    call_id = _granted(gateway)
    gateway.peer_answers(call_id)
    gateway.hang_up()

    told = gateway.call(call_id).stats.speech
    assert (told.to_network.frames, told.to_network.slips, told.to_line.concealed, told.lost) == (500, 1, 2, 1)


def test_an_on_hook_that_was_held_up_on_its_way_ends_the_conversation_when_it_happened(gateway):
    call_id = _granted(gateway)
    gateway.peer_answers(call_id)
    gateway.advance(10_000)
    gateway.hang_up(at_ms=gateway.now - 700)

    assert gateway.call(call_id).ended_ms == gateway.now - 700
