"""Two ends of the link, joined in memory: sessions, commands, events and speech over good and bad wires."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from firmware_bridge import messages as m
from firmware_bridge.framing import Decoder, Frame, encode_frame
from firmware_bridge.link_events import Answered, AudioReceived, DownReason, LinkDown, LinkUp, Received
from firmware_bridge.reliable import QUEUE_LIMIT, LinkBusyError
from firmware_bridge.session import CardLink, HostLink
from firmware_bridge.terms import CardIdentity
from firmware_bridge.vocabulary import Kind, Status

FRESH = [HealthCheck.function_scoped_fixture]
"""The fixture is a factory: each example makes its own wire."""


def answer_ok(link, event):
    if isinstance(event, Received) and event.kind is Kind.CMD:
        link.respond(event, Status.OK)


def downs(events):
    return [event.reason for event in events if isinstance(event, LinkDown)]


def digits(events):
    return "".join(e.message.digit for e in events if isinstance(e, Received) and isinstance(e.message, m.DigitEvent))


def test_both_ends_agree_on_a_session(wire):
    (up,) = wire.of(wire.host_events, LinkUp)
    assert (up.peer.boot_id, up.peer.lines, up.peer.firmware) == (7, 2, "f1")
    (peer,) = wire.of(wire.card_events, LinkUp)
    assert peer.peer.software == "test"


def test_an_idle_session_stays_up(wire):
    wire.run(20_000)
    assert wire.host.up
    assert wire.card.up
    assert downs(wire.host_events) == []


def test_a_command_is_carried_out_and_answered(wire):
    wire.answer = answer_ok
    seq = wire.host.send(m.RingStop(), line=1)
    wire.run(5)
    (command,) = [e for e in wire.card_events if isinstance(e, Received)]
    assert (command.line, command.message) == (1, m.RingStop())
    assert wire.of(wire.host_events, Answered) == [Answered(seq, 1, m.RingStop(), Status.OK, None)]


def test_a_result_comes_back_as_the_record_the_table_names(wire):
    wire.answer = lambda link, event: (
        isinstance(event, Received) and link.respond(event, Status.OK, m.Stats(crc_errors=5))
    )
    wire.host.send(m.GetStats())
    wire.run(5)
    (answered,) = wire.of(wire.host_events, Answered)
    assert answered.result == m.Stats(crc_errors=5)


@pytest.mark.parametrize("piece", [1, 3, 0])
@pytest.mark.parametrize("delay_ms", [0, 30])
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_every_digit_arrives_once_and_in_order_over_any_wire(wire_factory, piece, delay_ms, loss):
    wire = wire_factory(piece=piece, delay_ms=delay_ms, loss=loss)
    wire.answer = answer_ok
    assert wire.run_until(lambda: wire.host.up and wire.card.up)
    dialled = "0123456789*#" * 2
    for digit in dialled:
        wire.card.send(m.DigitEvent(0, digit))
        wire.host.send(m.ToneStop())
    assert wire.run_until(lambda: digits(wire.host_events) == dialled)
    assert wire.run_until(lambda: len(wire.of(wire.host_events, Answered)) == len(dialled))
    wire.run(500)
    assert digits(wire.host_events) == dialled
    acted = [e for e in wire.card_events if isinstance(e, Received)]
    assert len(acted) == len(dialled)
    assert downs(wire.host_events) == []


# Enough loss in a row ends a session, rightly: the examples are fixed so that luck does not decide.
@settings(deadline=None, max_examples=25, suppress_health_check=FRESH, derandomize=True)
@given(seed=st.integers(0, 10_000), loss=st.floats(0, 0.3))
def test_loss_never_reorders_repeats_or_loses_events(wire_factory, seed, loss):
    wire = wire_factory(loss=loss, seed=seed, delay_ms=3)
    assert wire.run_until(lambda: wire.host.up and wire.card.up)
    for digit in "159*37#2":
        wire.card.send(m.DigitEvent(0, digit))
    assert wire.run_until(lambda: digits(wire.host_events) == "159*37#2")


def test_a_cut_wire_is_noticed_by_both_ends_after_three_seconds(wire):
    wire.run(500)
    wire.cut = True
    wire.run(2000)
    assert wire.host.up
    wire.run(1600)
    assert downs(wire.host_events) == [DownReason.SILENT]
    assert downs(wire.card_events) == [DownReason.SILENT]


def test_a_port_without_a_card_is_told_once():
    host = HostLink(session=1, software="test")
    host.start(0)
    for now in range(0, 20_000, 50):
        host.on_timer(now)
        host.data_to_send(now)
    assert host.next_event().reason is DownReason.NO_ANSWER
    assert host.next_event() is None


def test_a_mended_wire_brings_a_new_session(wire):
    wire.cut = True
    wire.run(5000)
    wire.cut = False
    assert wire.run_until(lambda: wire.host.up and wire.card.up, 500)
    assert wire.host.counters.sessions == 2


def test_events_of_a_lost_session_do_not_enter_the_next(wire):
    wire.cut = True
    wire.card.send(m.DigitEvent(0, "1"))
    wire.run(5000)
    wire.cut = False
    assert wire.run_until(lambda: wire.host.up and wire.card.up)
    wire.card.send(m.DigitEvent(0, "2"))
    wire.run(100)
    assert digits(wire.host_events) == "2"


def test_a_restarted_card_is_noticed_at_once(wire):
    wire.restart_card(boot_id=8)
    wire.run(20)
    assert downs(wire.host_events) == [DownReason.RESET]
    assert wire.host.up
    assert wire.of(wire.host_events, LinkUp)[-1].peer.boot_id == 8


def test_a_restarted_host_replaces_its_old_session(wire):
    wire.host = HostLink(session=12345, software="test")
    wire.host.start(wire.now)
    wire.run(20)
    assert wire.host.up
    assert downs(wire.card_events) == [DownReason.REPLACED]


def test_an_unknown_command_is_answered_unknown(wire):
    decoder = Decoder()
    wire.card.receive(encode_frame(Frame(Kind.CMD, 0, 0, 0, 0, 0x7F, b"")), wire.now)
    replies = [f for f in decoder.feed(wire.card.data_to_send(wire.now)) if f.kind == Kind.RSP]
    assert [(f.id, m.parse_reply(f.payload).status) for f in replies] == [(0x7F, Status.UNKNOWN)]
    assert wire.card.counters.unknown == 1


def test_a_malformed_command_is_answered_with_the_field_that_is_wrong(wire):
    wire.card.receive(encode_frame(Frame(Kind.CMD, 0, 0, 0, 0, 0x05, b"\1")), wire.now)
    (reply,) = [
        m.parse_reply(f.payload) for f in Decoder().feed(wire.card.data_to_send(wire.now)) if f.kind == Kind.RSP
    ]
    assert reply.status is Status.INVALID
    assert b"SetBaud.baud" in reply.result


def test_an_unknown_event_is_counted_and_ignored(wire):
    wire.host.receive(encode_frame(Frame(Kind.EVT, 0, 0, 0, 0, 0x7F, b"")), wire.now)
    assert wire.host.counters.unknown == 1
    wire.run(10)
    assert wire.host.up


def test_a_command_without_answer_ends_the_session(wire):
    wire.host.send(m.RingStop())
    wire.run(2100)
    assert downs(wire.host_events) == [DownReason.UNANSWERED]


def test_speech_goes_before_orders_and_handshake_before_speech(wire):
    wire.run(100)
    wire.host.send(m.RingStop())
    wire.host.send_audio(1, 80, 0, bytes(80))
    wire.host.receive(encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 3, m.pack(m.Ping(5)))), wire.now)
    frames = Decoder().feed(wire.host.data_to_send(wire.now))
    assert [Kind(frame.kind) for frame in frames] == [Kind.LINK, Kind.AUDIO, Kind.CMD]


RANK = {Kind.LINK: 0, Kind.AUDIO: 1, Kind.CMD: 2, Kind.RSP: 2, Kind.EVT: 2, Kind.LOG: 3}


@settings(deadline=None, suppress_health_check=FRESH)
@given(st.lists(st.sampled_from(["event", "speech", "log", "ping"]), max_size=40))
def test_whatever_waits_the_most_urgent_leaves_first(wire_factory, asked):
    wire = wire_factory()
    assert wire.run_until(lambda: wire.host.up and wire.card.up)
    card = wire.card
    for what in asked:
        if what == "event":
            card.send(m.FlashEvent(0, 100))
        elif what == "speech":
            card.send_audio(0, 0, 0, bytes(80))
        elif what == "log":
            card.send_log(6, "text")
        else:
            card.receive(
                encode_frame(Frame(Kind.LINK, 0, 0, 0, card._sender._next_seq, 3, m.pack(m.Ping(1)))), wire.now
            )
    decoder, ranks = Decoder(), []
    while data := card.data_to_send(wire.now):
        ranks += [RANK[Kind(frame.kind)] for frame in decoder.feed(data)]
    # Behind four frames of speech one that waits has its turn, and nothing else may overtake.
    ahead = [rank for at, rank in enumerate(ranks) if not (at >= 4 and rank >= 2 and ranks[at - 4 : at] == [1] * 4)]
    assert ahead == sorted(ahead)


def test_an_answer_never_strays_into_a_later_session(wire):
    wire.host.send(m.RingStop())
    wire.run(5)
    (command,) = [e for e in wire.card_events if isinstance(e, Received)]
    wire.host = HostLink(session=12345, software="test")
    wire.host.start(wire.now)
    wire.run(20)
    wire.host.send(m.RingStop())
    assert wire.card.respond(command, Status.OK) is None
    wire.run(20)
    assert wire.of(wire.host_events, Answered) == []


def test_speech_arrives_with_its_sample_counter(wire):
    wire.card.send_audio(1, 8000, 3, bytes(range(80)))
    wire.run(3)
    assert wire.of(wire.host_events, AudioReceived) == [AudioReceived(1, 8000, 3, bytes(range(80)))]


def test_speech_that_the_wire_cannot_carry_is_dropped_oldest_first(wire):
    for counter in range(20):
        wire.host.send_audio(0, counter, 0, bytes(80))
    wire.run(3)
    assert [event.counter for event in wire.of(wire.card_events, AudioReceived)] == list(range(12, 20))
    assert wire.host.counters.audio_dropped == 12


def test_a_full_queue_is_refused_and_not_forgotten(wire):
    wire.cut = True
    for _ in range(QUEUE_LIMIT):
        wire.card.send(m.DigitEvent(0, "1"))
    with pytest.raises(LinkBusyError):
        wire.card.send(m.DigitEvent(0, "1"))


def test_a_flood_of_commands_never_fills_the_answers(wire):
    for seq in range(256):
        wire.card.receive(encode_frame(Frame(Kind.CMD, 0, 0, seq, 0, 0x7F, b"")), wire.now)
    assert wire.card.counters.unknown <= QUEUE_LIMIT


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"major": 2}, "protocol 2.0"), ({"schema": 1}, "message table 00000001")],
)
def test_a_card_of_another_kind_is_refused_with_a_sentence(change, sentence):
    host = HostLink(session=1, software="test")
    host.start(0)
    ack = structs.replace(CardLink(CardIdentity(7, 2, "f1"))._ack(1), **change)
    for now in (0, 100):
        host.receive(encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 2, m.pack(ack))), now)
    event = host.next_event()
    assert event.reason is DownReason.REFUSED
    assert sentence in event.detail
    assert host.next_event() is None
    assert not host.up


def test_a_newer_minor_version_is_welcome():
    host = HostLink(session=1, software="test")
    host.start(0)
    ack = structs.replace(CardLink(CardIdentity(7, 2, "f1"))._ack(1), minor=1, schema=1)
    host.receive(encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 2, m.pack(ack) + b"new field")), 0)
    assert host.up


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=300), max_size=10))
def test_noise_never_raises_nor_opens_a_session(pieces):
    for link in (HostLink(session=1, software="t"), CardLink(CardIdentity(7, 2, "f1"))):
        link.start(0)
        for now, piece in enumerate(pieces):
            link.receive(piece, now)
            link.on_timer(now)
            link.data_to_send(now)
        assert not link.up


@settings(max_examples=300, deadline=None, suppress_health_check=FRESH)
@given(
    st.lists(
        st.builds(
            Frame, st.integers(0, 7), st.integers(0, 7), st.integers(0, 3), st.integers(0, 255), st.integers(0, 255),
            st.integers(0, 127), st.binary(max_size=60),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_well_framed_nonsense_never_raises(wire_factory, frames):
    wire = wire_factory()
    wire.run(3)
    for frame in frames:
        for link in (wire.host, wire.card):
            link.receive(encode_frame(frame), wire.now)
        wire.run(2)


def test_speech_that_fills_the_wire_leaves_every_fifth_turn_to_the_others(wire):
    """Two lines need more than 115,200 baud can carry: orders must get through all the same."""
    host = wire.host
    wire.run(50)
    while host.data_to_send(wire.now):
        pass
    host.send(m.RingStop())
    host.send(m.ToneStop())
    kinds = []
    for turn in range(12):
        for line in (0, 1):
            host.send_audio(line, 80 * turn, 0, bytes(80))
        kinds.append(next(iter(Decoder().feed(host._next_data(wire.now)))).kind)
    assert kinds[:10] == [Kind.AUDIO] * 4 + [Kind.CMD] + [Kind.AUDIO] * 4 + [Kind.CMD]


def test_a_line_that_speaks_too_much_costs_only_itself_frames(wire):
    host = wire.host
    wire.run(50)
    for counter in range(0, 80 * 20, 80):
        host.send_audio(0, counter, 0, bytes(80))
    host.send_audio(1, 0, 0, bytes(80))
    sent = Decoder().feed(host.data_to_send(wire.now) + host.data_to_send(wire.now))
    assert [frame.line for frame in sent if frame.kind == Kind.AUDIO] == [0] * 8 + [1]
    assert host.counters.audio_dropped == 12
