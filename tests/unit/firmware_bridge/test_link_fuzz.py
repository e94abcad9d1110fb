"""Both ends against endless nonsense: no exception, no growth, and a good frame is still understood after it."""

import random

import pytest

from firmware_bridge import messages as m
from firmware_bridge.framing import MAX_ENCODED, Decoder, Frame, encode_frame
from firmware_bridge.link import Link
from firmware_bridge.reliable import QUEUE_LIMIT, WINDOW
from firmware_bridge.session import CardLink, HostLink
from firmware_bridge.terms import CardIdentity
from firmware_bridge.trace import DEPTH
from firmware_bridge.vocabulary import Capability, Kind

IDENTITY = CardIdentity(7, 2, "f1", capabilities=Capability.BAUD_SWITCH, bauds=(115_200, 1_000_000))
KNOWN = [(spec.kind, spec.id) for spec in m.TABLE]
GOOD = [encode_frame(Frame(3, 0, 0, seq, 0, 0x40, bytes(10))) for seq in range(8)]


def nonsense(chance):
    """A frame that is framed well and means anything, or one that is not even framed well."""
    if chance.random() < 0.6:
        kind, ident = chance.choice(KNOWN) if chance.random() < 0.8 else (chance.randrange(8), chance.randrange(256))
        body = chance.randbytes(chance.choice((0, 1, 4, 8, 10, 24, 60, 244)))
        frame = Frame(
            kind, chance.randrange(8), chance.randrange(4), chance.randrange(256), chance.randrange(256), ident, body
        )
        data = encode_frame(frame)
        if chance.random() < 0.3:
            at = chance.randrange(len(data))
            data = data[:at] + chance.randbytes(1) + data[at + 1 :]
        return data
    return chance.randbytes(chance.randrange(40)) + chance.choice((b"", b"\0"))


def everything_kept(link: Link) -> int:
    return (
        len(link._events) + len(link._raw) + len(link._link_queue) + len(link._pending) + link._sender.waiting
        + len(link._audio_queue) + len(link._log_queue) + len(link.trace.lines()) + len(getattr(link, "_own", ()))
    )  # fmt: skip


def fuzz(frames, seed):
    chance = random.Random(seed)
    ends = (HostLink(1, "t", baud=1_000_000, stats_ms=1000), CardLink(IDENTITY))
    for end in ends:
        end.start(0)
    worst = 0
    for number in range(frames):
        now = number // 4
        for end in ends:
            if number % 500 == 0:
                handshake(end, now)
            end.receive(nonsense(chance), now)
            if (due := end.next_timer()) is not None and due <= now:
                end.on_timer(now)
            if number % 8 == 0:
                answer_everything(end)
                while end.data_to_send(now):
                    pass
        if number % 1000 == 0:
            worst = max(worst, *map(everything_kept, ends))
            assert all(len(end.decoder._partial) <= MAX_ENCODED for end in ends)
    return ends, worst


def handshake(end, now):
    """Let the end have a session, so that the nonsense reaches what is behind it."""
    if isinstance(end, CardLink):
        hello = m.Hello(m.PROTOCOL_MAJOR, 0, m.SCHEMA_HASH, 1 + now, m.MAX_PAYLOAD, WINDOW, "t")
        end.receive(b"\0" + encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 1, m.pack(hello))), now)
    elif not end.up:
        ack = CardLink(IDENTITY)._ack(end._session)
        end.receive(b"\0" + encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 2, m.pack(ack))), now)


def answer_everything(end):
    from firmware_bridge.link_events import Received
    from firmware_bridge.reliable import LinkBusyError
    from firmware_bridge.vocabulary import Status

    while (event := end.next_event()) is not None:
        if isinstance(event, Received) and event.kind is Kind.CMD:
            try:
                end.respond(event, Status.FAILED)
            except LinkBusyError:
                pytest.fail("a command was taken for whose answer there is no room")


LIMIT = DEPTH + 3 * QUEUE_LIMIT + 100


def test_both_ends_survive_nonsense():
    ends, worst = fuzz(20_000, seed=1)
    assert worst <= LIMIT
    assert min(end.counters.sessions for end in ends) >= 2
    assert all(end.counters.malformed and end.counters.unknown and end.decoder.counters.damaged for end in ends)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_ends_survive_a_million_frames_of_nonsense():
    _, worst = fuzz(1_000_000, 2)
    assert worst <= LIMIT


def test_a_good_frame_is_understood_after_any_nonsense():
    chance = random.Random(5)
    for _ in range(500):
        decoder = Decoder()
        for _ in range(5):
            decoder.feed(nonsense(chance))
        assert decoder.feed(b"\0" + GOOD[0])[-1:] == Decoder().feed(GOOD[0])
