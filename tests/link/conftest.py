"""A card on a pty and the client that speaks to it."""

import threading
from dataclasses import dataclass, field

import pytest

from firmware_bridge import CardEvent, LineCard, SpeechFrame
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone


@dataclass
class Owner:
    """What the owner of the card saw; waits without polling."""

    condition: threading.Condition = field(default_factory=threading.Condition)
    events: list[CardEvent] = field(default_factory=list)
    audio: dict[int, list[bytes]] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    voice: bytes | None = None
    voice_at: int = 0

    def on_event(self, event: CardEvent) -> None:
        with self.condition:
            self.events.append(event)
            self.condition.notify_all()

    def on_audio(self, frame: SpeechFrame) -> bytes | None:
        with self.condition:
            if frame.alaw is None:
                self.lost[frame.line] = self.lost.get(frame.line, 0) + 1
            else:
                self.audio.setdefault(frame.line, []).append(frame.alaw)
            self.condition.notify_all()
            if self.voice is None:
                return None
            frame = self.voice[self.voice_at : self.voice_at + 80]
            self.voice_at = (self.voice_at + 80) % len(self.voice)
            return frame

    def speak(self, hz: float) -> None:
        with self.condition:
            self.voice, self.voice_at = encode_alaw(tone(hz, 1000, -10)), 0

    def wait(self, predicate, timeout: float = 5.0) -> bool:
        with self.condition:
            return self.condition.wait_for(predicate, timeout)

    def wait_event(self, event: CardEvent, times: int = 1, timeout: float = 5.0) -> bool:
        return self.wait(lambda: self.events.count(event) >= times, timeout)

    def of(self, kind: type) -> list[CardEvent]:
        with self.condition:
            return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def new_card(any_card, tmp_path):
    """Makes a card, either kind, at tmp_path/"card"; they say the same of themselves."""

    def make(lines=2, **fields):
        return any_card(lines=lines, link_path=tmp_path / "card", firmware="sim-1.0.0", **fields)

    return make


@pytest.fixture
def pty_card(new_card):
    with new_card() as card:
        yield card


@pytest.fixture
def line_card(pty_card, owner):
    client = LineCard(pty_card.path, on_event=owner.on_event, on_audio=owner.on_audio)
    client.start()
    yield client
    client.stop()
