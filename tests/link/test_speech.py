"""Speech over a pseudo-terminal, both lines, both ways: every frame is accounted for by its number."""

from __future__ import annotations

import threading

import pytest

from firmware_bridge import CardUp, LineCard, SpeechFrame
from firmware_bridge.simulator import Mischief, PtyCard

FRAME = 80
_MODULUS = 1 << 24


def numbered(number: int) -> bytes:
    """A frame that says which one it is."""
    return (number % _MODULUS).to_bytes(3, "big") + bytes(FRAME - 3)


def number_of(alaw: bytes) -> int:
    return int.from_bytes(alaw[:3], "big")


class Talk:
    """Both ends of one line: what each said, and what the other got of it."""

    def __init__(self) -> None:
        self.said = self.answered = 0
        self.at_host: list[int | None] = []
        self.at_ear: list[int | None] = []
        self.overruns = self.skipped = 0

    def mouth(self, _now: int) -> bytes:
        self.said += 1
        return numbered(self.said)

    def ear(self, _now: int, alaw: bytes) -> None:
        self.at_ear.append(number_of(alaw) if alaw else None)

    def on_audio(self, frame: SpeechFrame) -> bytes:
        self.at_host += [None] * frame.skipped
        self.skipped += frame.skipped
        self.at_host.append(None if frame.alaw is None else number_of(frame.alaw))
        self.answered += 1
        return numbered(self.answered)


def talk(seconds: float, mischief: Mischief | None = None) -> tuple[list[Talk], LineCard, PtyCard]:
    """Let both lines speak for a while."""
    talks = [Talk(), Talk()]
    up = threading.Event()
    with PtyCard(lines=2) as card:
        client = LineCard(
            card.path, on_event=lambda event: isinstance(event, CardUp) and up.set(),
            on_audio=lambda frame: talks[frame.line].on_audio(frame),
        )  # fmt: skip
        client.start()
        try:
            assert up.wait(5)
            for line, phone in enumerate(card.phones):
                phone.off_hook()
                phone.converse(talks[line].mouth, talks[line].ear)
                client.open_audio(line)
            if mischief is not None:
                card.unkind(mischief, 7)
            wanted = seconds * 100
            assert card.wait_for(lambda: all(one.said >= wanted for one in talks), seconds + 20)
            card.unkind(None)
            for line, phone in enumerate(card.phones):
                talks[line].overruns = phone._line.playout.overruns
                client.close_audio(line)
                assert phone.wait_for(lambda phone=phone: not phone.audio_open, 10)
        finally:
            client.stop()
        return talks, client, card


def check_account(talks: list[Talk], client: LineCard, card: PtyCard) -> None:
    """Every frame arrived, in order and once, or is counted where it was lost: a machine that stands still for more
    than 80 ms costs some, and there are none but those.
    """
    stats = client.stats()
    assert (stats.audio_late, stats.crc_errors) == (0, 0)
    assert stats.audio_lost == sum(number is None for one in talks for number in one.at_host)
    missing = 0
    for one, phone in zip(talks, card.phones, strict=True):
        assert [number or at for at, number in enumerate(one.at_host, start=1)] == list(range(1, len(one.at_host) + 1))
        # The frames after the last order may still have been said into a line that was closed already.
        assert one.said - len(one.at_host) <= 5
        heard = [number for number in one.at_ear if number is not None]
        assert heard == sorted(set(heard)), "in order, and none twice"
        holes = heard[-1] - len(heard)
        # What was skipped on its way here got no answer, and the card misses those as well.
        assert holes + one.skipped == phone._line.lost + one.overruns, (
            "nothing is missing that the card does not know of"
        )
        assert one.answered - heard[-1] <= 10, "what waits in the telephone's buffer at the end"
        missing += holes + one.at_host.count(None)
    assert missing <= 0.2 * sum(one.said + one.answered for one in talks)


def test_ten_seconds_of_both_lines_pass_whole_in_both_directions():
    check_account(*talk(10))


@pytest.mark.slow
def test_a_minute_of_both_lines_passes_whole_in_both_directions():
    check_account(*talk(60))


def test_frames_that_a_bad_wire_eats_are_known_one_by_one_and_answered():
    talks, client, _ = talk(8, Mischief(loss=0.03, repeat=0.02))
    stats = client.stats()
    assert stats.audio_lost > 10
    assert stats.audio_lost == sum(number is None for one in talks for number in one.at_host)
    for one in talks:
        # A hole is told where it was: counting it, the numbers have no gap and no repetition.
        assert [number for number in one.at_host if number is not None] == [
            at for at, number in enumerate(one.at_host, start=1) if number is not None
        ]
        heard = [number for number in one.at_ear if number is not None]
        assert heard == sorted(set(heard))
        # Beside what the wire eats, a machine that stands still for more than 80 ms costs some.
        assert len(heard) > 0.75 * one.said
