"""Supplementary services with real peers: what the telephone hears, and what goes over SIP."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest

from agent.core.announcement import Announcement
from agent.core.services import Service, ServiceMode
from agent.core.terms import CallPhase, Cause, Direction, Tone
from agent.data import load_services
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone
from tests.e2e.peers.play import Callee, Caller

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900
HIS_HZ = 1900
ON, OFF = Announcement.SERVICE_ON, Announcement.SERVICE_OFF
_numbers = itertools.count(22_000_400)
_revisions = itertools.count(1)


@pytest.fixture
def house(adapter):
    """The module's adapter with the shipped services, times shortened, and nothing set by anybody."""
    return _use(adapter)


def _use(adapter, **changes):
    services = msgspec.structs.replace(load_services(), no_answer_s=5, hotline_s=1, **changes)
    revision = f"services {next(_revisions)}"
    adapter.agent.configure(msgspec.structs.replace(adapter.agent.configuration, revision=revision, services=services))
    assert adapter.agent.wait(lambda: any(log.detail == revision for log in adapter.agent.logs))
    return adapter


@pytest.fixture
def friend(operator, sipp, tmp_path) -> Callable[..., tuple[str, object]]:
    """Somebody with a number of his own who plays these steps; returns the number as it is dialled."""

    def start(steps: Callee, *, echo: bool = True) -> tuple[str, object]:
        number = str(next(_numbers))
        peer = sipp(steps.write(tmp_path, f"friend-{number}"), echo=echo)
        operator.route(f"+47{number}", peer.uri)
        return number, peer

    return start


@pytest.fixture
def stranger(operator, sipp, tmp_path) -> Callable[..., object]:
    """Somebody who calls one of the house's numbers and plays these steps."""

    def start(steps: Caller, number: str) -> object:
        name = steps.write(tmp_path, f"caller-{next(_numbers)}")
        return sipp(name, "-s", number, f"127.0.0.1:{operator.port}")

    return start


def _answered(adapter, **fields):
    return adapter.agent.call(phase=CallPhase.ANSWERED, **fields)


def _talks(adapter, line=0):
    """Speech goes both ways at this moment: a pitch that was not heard before comes back."""
    phone = adapter.phones[line]
    phone.speak(None)
    assert adapter.hears_no(VOICE_HZ, line)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ, line)


def _calls(adapter, number, line=0):
    phone = adapter.dial(number, line)
    call = _answered(adapter, number=f"+47{number}")
    _talks(adapter, line)
    return phone, call


def _command(adapter, phone, digits):
    phone.flash()
    assert adapter.plays(Tone.RECALL, phone.line)
    phone.dial(digits, 50, 50)


def _calls_beside(adapter, phone, number):
    """R, and another number while the first one is on hold."""
    _command(adapter, phone, number)
    return _answered(adapter, number=f"+47{number}")


def _code(adapter, code, said, line=0):
    """Dial a code, be told what has become of it, hang up."""
    adapter.dial(code, line)
    assert adapter.agent.wait(lambda: adapter.agent.lines[line].announcement == said), adapter.agent.lines
    adapter.replace(line)


def _escaped(part: str) -> str:
    """A regular expression as a scenario can hold it."""
    return part.replace("<", "&lt;").replace(">", "&gt;")


def _short() -> Callee:
    return Callee().invited().rings().answers().is_left()


def _held_and_back() -> Callee:
    return Callee().invited().rings().answers().is_held().is_resumed().is_left()


# --- hold ------------------------------------------------------------------------------------------------------------


def test_r_holds_and_r_brings_back(house, friend):
    number, peer = friend(_held_and_back())
    phone, call = _calls(house, number)
    phone.flash()
    assert house.plays(Tone.RECALL)
    assert house.hears(470)
    assert house.agent.wait(lambda: house.agent.calls[call.call_id].held)

    phone.flash()
    assert house.agent.wait(lambda: not house.agent.calls[call.call_id].held)
    _talks(house)
    phone.on_hook()
    peer.finish()


@pytest.mark.parametrize("status", ["488 Not Acceptable Here", "500 Server Internal Error"])
def test_whoever_refuses_to_be_held_is_not_heard_and_is_taken_back_unasked(house, friend, status, tmp_path):
    (tmp_path / "voice.al").write_bytes(encode_alaw(tone(HIS_HZ, 2000, -13.0)))
    steps = Callee().invited().rings().answers().plays("voice.al").refuses_offer(status)
    number, peer = friend(steps.is_left(), echo=False)
    phone = house.dial(number)
    call = _answered(house, number=f"+47{number}")
    assert house.hears(HIS_HZ)
    phone.flash()
    assert house.plays(Tone.RECALL)
    refused = [call.call_id]
    assert house.agent.wait(
        lambda: [log.call_id for log in house.agent.logs if log.event == "hold_refused"][-1:] == refused
    )
    assert house.hears_no(HIS_HZ), "what he goes on sending is not for this ear"
    assert house.agent.calls[call.call_id].held

    phone.flash()
    assert house.agent.wait(lambda: not house.agent.calls[call.call_id].held)
    assert house.hears(HIS_HZ)
    phone.on_hook()
    peer.finish()


def test_whoever_refuses_to_come_back_stays_on_hold_and_r_asks_him_again(house, friend):
    steps = Callee().invited().rings().answers().is_held().refuses_offer("500 Server Internal Error", "sendrecv")
    number, peer = friend(steps.is_resumed().is_left())
    phone, call = _calls(house, number)
    phone.flash()
    assert house.plays(Tone.RECALL)
    phone.flash()
    assert house.plays(Tone.SPECIAL)
    assert house.hears(1400)
    assert house.agent.calls[call.call_id].held

    phone.flash()
    assert house.agent.wait(lambda: not house.agent.calls[call.call_id].held)
    _talks(house)
    phone.on_hook()
    peer.finish()


def test_whoever_says_nothing_to_hold_is_gone_and_his_call_ends(house, friend):
    number, peer = friend(Callee().invited().rings().answers().says_nothing_to_offer().is_left())
    phone, call = _calls(house, number)
    phone.flash()
    assert house.plays(Tone.RECALL)
    ended = house.agent.call(15, call_id=call.call_id, phase=CallPhase.ENDED)
    assert ended.cause is Cause.SESSION_EXPIRED
    peer.finish()
    assert house.hears(470), "there is dial tone for another call"
    phone.flash()
    assert house.agent.lines[0].tone is Tone.RECALL
    phone.on_hook()


def test_two_calls_are_swapped_and_each_has_a_record(house, friend):
    first, one = friend(_held_and_back())
    second, other = friend(Callee().invited().rings().answers().is_held().leaves(100))
    phone, call = _calls(house, first)
    beside = _calls_beside(house, phone, second)
    _talks(house)

    _command(house, phone, "2")
    other.finish()
    _talks(house)
    assert house.agent.call(call_id=beside.call_id, phase=CallPhase.ENDED).cause is Cause.NORMAL
    assert house.agent.calls[call.call_id].phase is CallPhase.ANSWERED
    phone.on_hook()
    one.finish()


def test_the_telephone_rings_for_who_is_on_hold(house, friend):
    number, peer = friend(_held_and_back())
    phone, _ = _calls(house, number)
    phone.speak(None)
    phone.flash()
    assert house.plays(Tone.RECALL)
    phone.on_hook()
    assert phone.wait_for(lambda: phone.ringing, 10)
    assert phone.wait_for(lambda: phone.display == number, 10)
    phone.off_hook()
    _talks(house)
    phone.on_hook()
    peer.finish()


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_caller_waits_is_heard_and_taken_while_the_other_is_held(house, friend, stranger):
    number, friendly = friend(_held_and_back())
    phone, talk = _calls(house, number)
    phone.speak(None)
    caller = stranger(Caller().is_told_to_wait().is_answered().leaves(1_500), house.subscribers[0].number)
    assert house.hears(425, ms=100), "the waiting caller is heard in the conversation"

    _command(house, phone, "2")
    _answered(house, direction=Direction.INCOMING)
    assert house.agent.calls[talk.call_id].held
    _talks(house)
    caller.finish()
    assert house.plays(Tone.CONGESTION)
    phone.flash()
    _talks(house)
    phone.on_hook()
    friendly.finish()


@pytest.mark.parametrize("digit", ["0", "1"])
def test_a_waiting_caller_is_turned_away_or_taken_in_the_others_place(house, friend, stranger, digit):
    number, friendly = friend(_short())
    phone, talk = _calls(house, number)
    steps = Caller().is_told_to_wait()
    caller = stranger(
        steps.is_refused(486) if digit == "0" else steps.is_answered().leaves(1_000), house.subscribers[0].number
    )
    assert house.agent.call(direction=Direction.INCOMING, phase=CallPhase.RINGING)
    _command(house, phone, digit)
    if digit == "1":
        _answered(house, direction=Direction.INCOMING)
        friendly.finish()
        _talks(house)
    caller.finish()
    ended = house.agent.call(direction=Direction.INCOMING, phase=CallPhase.ENDED)
    assert ended.cause is (Cause.BUSY if digit == "0" else Cause.NORMAL)
    assert (house.agent.calls[talk.call_id].phase is CallPhase.ANSWERED) is (digit == "0")
    phone.on_hook()
    friendly.finish()


def test_call_waiting_switched_off_by_its_code_is_busy(house, friend, stranger):
    _code(house, "#43#", OFF)
    number, friendly = friend(_short())
    phone, _ = _calls(house, number)
    stranger(Caller().is_refused(486), house.subscribers[0].number).finish()
    phone.on_hook()
    friendly.finish()
    _code(house, "*43#", ON)


# --- three-way and transfer ------------------------------------------------------------------------------------------


def test_r3_takes_the_held_one_into_the_conversation_and_on_hook_ends_both(house, friend):
    first, one = friend(_held_and_back())
    second, other = friend(_short())
    phone, _ = _calls(house, first)
    phone.speak(None)
    _calls_beside(house, phone, second)
    _command(house, phone, "3")
    assert house.agent.wait(lambda: not any(call.held for call in house.agent.calls.values()))
    phone.on_hook()
    one.finish()
    other.finish()


def test_r4_leaves_the_two_together_as_calls_of_this_adapter(house, friend):
    first, one = friend(Callee().invited().rings().answers().is_held().is_resumed().leaves(1_000))
    second, other = friend(_short())
    phone, call = _calls(house, first)
    phone.speak(None)
    beside = _calls_beside(house, phone, second)
    _command(house, phone, "4")
    assert house.plays(Tone.CONFIRM)
    house.replace()
    assert not phone.ringing
    assert {house.agent.calls[one_.call_id].phase for one_ in (call, beside)} == {CallPhase.ANSWERED}
    one.finish()
    other.finish()
    for ended in (call, beside):
        assert house.agent.call(call_id=ended.call_id, phase=CallPhase.ENDED).cause is Cause.NORMAL


def test_r4_asks_the_platform_where_it_bills_what_it_places(adapter, friend):
    house = _use(adapter, platform_bills=True)
    steps = Callee().invited().rings().answers().is_held().is_asked_to_call("Replaces=").is_left()
    first, one = friend(steps)
    second, other = friend(Callee().invited().rings().answers().is_held().is_left())
    phone, _ = _calls(house, first)
    phone.speak(None)
    _calls_beside(house, phone, second)
    _command(house, phone, "4")
    one.finish()
    other.finish()
    assert house.agent.wait(lambda: all(call.phase is CallPhase.ENDED for call in house.agent.calls.values()))


# --- forwarding ------------------------------------------------------------------------------------------------------


def test_a_forwarded_call_is_answered_here_and_placed_again_and_says_from_where(house, friend, stranger):
    before = "Diversion: <sip:[+]4722000009@elsewhere.example>;reason=no-answer;counter=1;privacy=off"
    own = house.subscribers[0].number.replace("+", "[+]")
    here = f"Diversion: <sip:{own}@peers.example>;reason=unconditional;counter=1;privacy=off"
    number, friendly = friend(Callee().invited(_escaped(f"{here}.*{before}")).rings().answers().is_left())
    _code(house, f"*21*{number}#", ON)
    caller = stranger(
        Caller(before.replace("[+]", "+")).hears_ringing().is_answered().leaves(500), house.subscribers[0].number
    )
    caller.finish()
    friendly.finish()
    assert not house.phones[0].ringing
    ended = [house.agent.call(direction=way, phase=CallPhase.ENDED) for way in Direction]
    assert [one.cause for one in ended] == [Cause.NORMAL, Cause.NORMAL]
    assert all(one.answered_ms is not None for one in ended)

    phone = house.phones[0]
    phone.off_hook()
    assert house.plays(Tone.RECALL), "the dial tone says that calls go elsewhere"
    house.replace()
    _code(house, "#21#", OFF)


def test_two_who_forward_to_each_other_are_no_circle_and_the_second_telephone_rings(
    house, new_adapter, stranger
):  # fmt: skip
    other = _use(new_adapter().ready())
    here, there = (one.subscribers[0].number for one in (house, other))
    _code(house, f"*21*{there.removeprefix('+47')}#", ON)
    _code(other, f"*21*{here.removeprefix('+47')}#", ON)
    caller = stranger(Caller().hears_ringing().is_answered().leaves(300), here)
    phone = other.phones[0]
    assert phone.wait_for(lambda: phone.ringing, 10)
    phone.off_hook()
    caller.finish()
    assert other.agent.wait(lambda: all(call.phase is CallPhase.ENDED for call in other.agent.calls.values()))
    assert [call.direction for call in other.agent.calls.values()] == [Direction.INCOMING]
    assert sorted(call.direction for call in house.agent.calls.values()) == [Direction.INCOMING, Direction.OUTGOING]
    assert not house.phones[0].ringing
    other.replace()
    _code(house, "#21#", OFF)


def test_where_nobody_lifts_the_call_goes_on(house, friend, stranger):
    number, friendly = friend(_short())
    _code(house, f"*61*{number}#", ON)
    caller = stranger(Caller().hears_ringing().is_answered().leaves(300), house.subscribers[0].number)
    assert house.phones[0].wait_for(lambda: house.phones[0].ringing, 10)
    caller.finish(15)
    friendly.finish()
    assert not house.phones[0].ringing
    _code(house, "#61#", OFF)


def test_a_busy_line_sends_its_caller_on_and_tells_him_what_he_meets(house, friend, stranger):
    number, friendly = friend(Callee().invited().refuses("486 Busy Here"))
    _code(house, f"*67*{number}#", ON)
    house.phones[0].off_hook()
    assert house.plays(Tone.DIAL)
    stranger(Caller().is_refused(486), house.subscribers[0].number).finish()
    friendly.finish()
    house.replace()
    _code(house, "#67#", OFF)


def test_the_platform_is_asked_to_forward_where_it_bills_it(adapter, stranger):
    house = _use(adapter, platform_bills=True)
    _code(house, "*21*22000399#", ON)
    own = house.subscribers[0].number.replace("+", "[+]")
    said = f"Contact: <sip:[+]4722000399@.*Diversion: <sip:{own}@peers.example>;reason=unconditional;counter=1"
    steps = Caller().is_refused(302, _escaped(said))
    stranger(steps, house.subscribers[0].number).finish()
    assert house.agent.call(direction=Direction.INCOMING, phase=CallPhase.ENDED).cause is Cause.FORWARDED
    _code(house, "#21#", OFF)


def test_nobody_is_forwarded_to_112_and_the_telephone_says_so(house):
    house.dial("*21*112#")
    assert house.agent.wait(lambda: house.agent.lines[0].announcement == Announcement.SERVICE_REFUSED)
    assert house.plays(Tone.SPECIAL)
    assert house.hears(1400)
    house.replace()


def test_a_code_that_was_taken_is_confirmed_in_words_and_by_a_tone(house):
    house.dial("*43#")
    assert house.agent.wait(lambda: house.agent.lines[0].announcement == ON)
    assert house.plays(Tone.CONFIRM)
    assert house.hears(425, ms=100)
    house.replace()


# --- the rest --------------------------------------------------------------------------------------------------------


def test_do_not_disturb_is_busy_to_who_calls(house, stranger):
    _code(house, "*26#", ON)
    stranger(Caller().is_refused(486), house.subscribers[0].number).finish()
    _code(house, "*#26#", ON)
    _code(house, "#26#", OFF)
    _code(house, "*#26#", OFF)


def test_a_hidden_number_is_hidden_for_one_call(house, friend):
    number, friendly = friend(Callee().invited("Privacy: id").rings().answers().is_left())
    phone = house.dial(f"*31*{number}")
    _answered(house, number=f"+47{number}")
    _talks(house)
    phone.on_hook()
    friendly.finish()


def test_a_hotline_calls_by_itself(house, friend):
    number, friendly = friend(_short())
    _code(house, f"*53*{number}#", ON)
    phone = house.phones[0]
    phone.off_hook()
    assert house.hears(425)
    _answered(house, number=f"+47{number}")
    _talks(house)
    phone.on_hook()
    friendly.finish()
    _code(house, "#53#", OFF)


def test_a_code_of_the_platform_is_called_there(adapter, operator, sipp, tmp_path):
    shipped = load_services()
    codes = dict(shipped.codes)
    codes[Service.DO_NOT_DISTURB] = msgspec.structs.replace(
        codes[Service.DO_NOT_DISTURB], mode=ServiceMode.PLATFORM, on=["*26*N#"]
    )
    house = _use(adapter, codes=codes)
    peer = sipp(Callee().invited("INVITE sip:[*]26[*]1%23@").rings().answers().leaves(300).write(tmp_path, "platform"))
    for written in ("*26*1#", "*26*1%23"):
        operator.route(written, peer.uri)
    phone = house.dial("*26*1#")
    _answered(house, number="*26*1#")
    peer.finish()
    phone.on_hook()


def test_waiting_messages_light_the_lamp_and_stutter_in_the_dial_tone(new_adapter, operator, household, sipp, tmp_path):
    subscribers = household()
    mailbox = sipp(Callee().keeps_messages(2, 0).write(tmp_path, "mailbox"))
    operator.route(f"mailbox-{subscribers[0].user}", mailbox.uri)
    house = new_adapter(subscribers).ready()
    first, other = house.agent.configuration.accounts
    accounts = [msgspec.structs.replace(first, mailbox=True), other]
    house.agent.configuration = msgspec.structs.replace(house.agent.configuration, accounts=accounts)
    _use(house)
    phone, silent = house.phones
    assert phone.wait_for(lambda: phone.message_lamp, 10)
    phone.off_hook()
    assert house.hears(470)
    house.replace()
    assert phone.wait_for(lambda: not phone.message_lamp, 10)
    phone.off_hook()
    assert house.plays(Tone.DIAL)
    assert not silent.message_lamp
    house.replace()
    mailbox.finish()


def test_what_is_set_is_still_set_after_a_crash(new_adapter, operator, stranger):
    house = _use(new_adapter().ready())
    _code(house, "*26#", ON)
    house.crash_and_restart()
    assert house.agent.registered()
    stranger(Caller().is_refused(486), house.subscribers[0].number).finish()


def _is_told_that_there_is_no_room(house, number, line):
    refused = house.agent.call(number=f"+47{number}", phase=CallPhase.ENDED)
    assert refused.cause is Cause.NO_CALL_SLOT
    assert house.agent.wait(lambda: house.agent.lines[line].announcement == Announcement.TOO_MANY_CALLS)


def test_both_lines_have_every_service_at_once_as_far_as_the_library_has_call_slots(
    house, friend, stranger, operator, sipp, tmp_path
):  # fmt: skip
    """Whoever finds none of its four slots (one of them for 112) is told so; eight are enough for all of this."""
    roomy = house.agent.hello.max_calls >= 8
    numbers, peers = zip(*(friend(steps) for steps in (
        _held_and_back(), _held_and_back(), _short(), _short(), _short(),
    )), strict=True)  # fmt: skip
    held, at_one, third, onward, last = numbers
    one, other = house.phones
    _code(house, f"*67*{onward}#", ON, 1)

    # The first line: one on hold, and one who has waited, in conversation.
    _, on_hold = _calls(house, held, 0)
    one.speak(None)
    waited = stranger(Caller().is_told_to_wait().is_answered().is_left(), house.subscribers[0].number)
    assert house.agent.call(direction=Direction.INCOMING, phase=CallPhase.RINGING)
    _command(house, one, "2")
    taken = _answered(house, direction=Direction.INCOMING)

    # The second: three in a conversation, or R back to the first of them.
    _, talk = _calls(house, at_one, 1)
    other.speak(None)
    _command(house, other, third)
    if roomy:
        _answered(house, number=f"+47{third}")
        _command(house, other, "3")
    else:
        _is_told_that_there_is_no_room(house, third, 1)
        assert house.plays(Tone.CONGESTION, 1)
        other.flash()
    assert house.agent.wait(lambda: not house.agent.calls[talk.call_id].held)

    # Somebody calls the second, which is busy and forwards.
    busy = Caller()
    busy = busy.hears_ringing().is_answered().is_left() if roomy else busy.is_refused(486)
    sent_on = stranger(busy, house.subscribers[1].number)
    if roomy:
        _answered(house, number=f"+47{onward}")
    else:
        sent_on.finish()

    # The first leaves its two together, and calls somebody else.
    _command(house, one, "4")
    assert house.plays(Tone.CONFIRM)
    one.flash()
    assert house.plays(Tone.DIAL)
    one.dial(last, 50, 50)
    if roomy:
        _answered(house, number=f"+47{last}")
        _talks(house)
        one.speak(None)
    else:
        _is_told_that_there_is_no_room(house, last, 0)
    _talks(house, 1)
    going_on = [call for call in list(house.agent.calls.values()) if call.phase is CallPhase.ANSWERED]
    assert len(going_on) == (7 if roomy else 3)
    assert {on_hold.call_id, taken.call_id, talk.call_id} <= {call.call_id for call in going_on}

    # 112 has its slot, and takes nobody else's.
    centre = sipp(_short().write(tmp_path, "centre"))
    operator.route("112", centre.uri)
    house.replace(0)
    house.dial("112", 0)
    _answered(house, number="112")
    _talks(house)
    for call in going_on:
        if call.number != f"+47{last}":
            assert house.agent.calls[call.call_id].phase is CallPhase.ANSWERED
    for phone in house.phones:
        phone.on_hook()
    for call in list(house.agent.calls.values()):
        if call.phase is CallPhase.ANSWERED and call.direction is Direction.INCOMING:
            house.agent.end(call.call_id)
    played = peers if roomy else peers[:2]
    for peer in (*played, waited, sent_on, centre):
        peer.finish()
    _code(house, "#67#", OFF, 1)


def test_112_in_the_middle_of_two_calls_ends_them_and_goes_through(house, friend, operator, sipp, tmp_path):
    first, one = friend(Callee().invited().rings().answers().is_held().is_left())
    second, other = friend(_short())
    centre = sipp(Callee().invited().rings().answers().is_left().write(tmp_path, "centre"))
    operator.route("112", centre.uri)
    phone, _ = _calls(house, first)
    phone.speak(None)
    _calls_beside(house, phone, second)
    phone.flash()
    assert house.plays(Tone.RECALL)
    phone.dial("112", 60, 60)
    _answered(house, number="112")
    one.finish()
    other.finish()
    _talks(house)
    phone.on_hook()
    centre.finish()
