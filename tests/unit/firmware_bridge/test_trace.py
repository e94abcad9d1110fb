"""The last frames, for the technician: bounded, in order, and never what was dialled."""

from firmware_bridge import messages as m
from firmware_bridge.trace import DEPTH, Trace
from firmware_bridge.vocabulary import Kind


def test_only_the_last_frames_are_kept_and_speech_is_none():
    trace = Trace()
    for seq in range(DEPTH + 50):
        trace.now = seq
        trace.add((Kind.EVT, 0, seq % 256, 0, 0x40), 10, sent=False)
        trace.add((Kind.AUDIO, 0, 0, 0, 0x62), 85, sent=False)
    lines = trace.lines()
    assert len(lines) == DEPTH
    assert lines[0] == "50 < EVT HookEvent line=0 seq=50 ack=0 bytes=10"


def test_noise_is_one_entry_however_long_it_lasts():
    trace = Trace()
    trace.add((Kind.LINK, 0, 0, 0, 1), 19, sent=True)
    for now in range(1000):
        trace.now = now
        trace.damage(2, 30)
    assert trace.lines() == (
        "0 > LINK Hello line=0 seq=0 ack=0 bytes=19",
        "0 < damaged pieces=2000 bytes=30000 until=999",
    )


def test_a_session_leaves_its_story_without_the_digits(rough_wire):
    wire = rough_wire()
    assert wire.run_until(wire.settled)
    wire.card.send(m.DigitEvent(0, "7"))
    wire.host.send(m.RingStart((1000, 4000), caller="+4798765432"))
    wire.run(20)
    wire.restart_card()
    wire.run(500)
    story = "\n".join(wire.host.trace.lines())
    for part in (
        "session begins",
        "rate 1000000",
        "EVT DigitEvent",
        "CMD RingStart",
        "damaged",
        "rate 115200",
        "session lost: the card restarted",
    ):
        assert part in story
    assert "98765432" not in story
    assert "'7'" not in story
