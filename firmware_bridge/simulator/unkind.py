"""A bad wire: loses, repeats, damages, cuts, delays and holds back what it carries, by a seed, in one direction. Pure.

Like a real wire it never reorders. Whole frames are lost, repeated or cut; single bits flip anywhere.
"""

from __future__ import annotations

import random
from collections import deque

from msgspec import Struct, structs

MAX_CARRIED = 65_536
"""More than this many bytes under way are lost, as in a full buffer."""


class Mischief(Struct, frozen=True):
    """What goes wrong. Shares are of frames, 0 to 1, except `flip` (of bytes); the default is a perfect wire."""

    loss: float = 0.0
    repeat: float = 0.0
    cut: float = 0.0
    """A frame ends in the middle, its delimiter included: what follows sticks to it."""
    flip: float = 0.0
    noise: float = 0.0
    """A burst of up to `noise_bytes` before a frame."""
    noise_bytes: int = 40
    delay_ms: int = 0
    jitter_ms: int = 0
    stall: float = 0.0
    """Everything waits for `stall_ms`."""
    stall_ms: int = 400
    reset: float = 0.0
    """The card restarts in the middle of a frame; only on the way to the host."""
    greeting: int = 0
    """So many bytes of noise before the first frame of a card that has no session."""

    def __post_init__(self) -> None:
        for field in structs.fields(self):
            value = getattr(self, field.name)
            high = 1 if field.type is float else 10_000
            if not 0 <= value <= high:
                raise ValueError(f"{field.name} is {value}, 0 to {high} are allowed")


ROUGH = Mischief(
    loss=0.02, repeat=0.01, cut=0.01, flip=0.0002, noise=0.01, delay_ms=1, jitter_ms=8, stall=0.001, reset=0.0001,
    greeting=60,
)  # fmt: skip
"""What `--unkind` does: far worse than any cable that would be left in use, but a telephone stays usable."""


class UnkindWire:
    """One direction of a wire. Bytes go in with `put`, and come out of `take` when their time has come."""

    def __init__(self, seed: int, mischief: Mischief | None = None) -> None:
        self.mischief = Mischief() if mischief is None else mischief
        self.reset_wanted = False
        """The card was to restart in mid-frame; whoever does it clears this."""
        self.done: dict[str, int] = {}
        """How often each kind of mischief was done."""
        self._random = random.Random(seed)  # noqa: S311 -- a reproducible wire, no secret
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._carried = 0
        self._free_ms = 0

    def put(self, data: bytes, now: int) -> None:
        """Carry whole frames, as `data_to_send` gives them."""
        *frames, rest = data.split(b"\0")
        for frame in frames:
            self._frame(frame + b"\0", now)
        if rest:
            self._frame(rest, now)

    def noise(self, length: int, now: int) -> None:
        """Carry nonsense."""
        self._carry(self._random.randbytes(length), now)

    def take(self, now: int) -> bytes:
        """What arrives now."""
        out: list[bytes] = []
        while self._under_way and self._under_way[0][0] <= now:
            out.append(self._under_way.popleft()[1])
        data = b"".join(out)
        self._carried -= len(data)
        return data

    def clear(self) -> None:
        """The cable was pulled: what is under way is lost."""
        self._under_way.clear()
        self._carried = 0

    def next_ms(self) -> int | None:
        """When `take` will have something."""
        return self._under_way[0][0] if self._under_way else None

    def _hit(self, name: str, share: float) -> bool:
        if not share or self._random.random() >= share:
            return False
        self.done[name] = self.done.get(name, 0) + 1
        return True

    def _frame(self, frame: bytes, now: int) -> None:
        wrong = self.mischief
        if self._hit("noise", wrong.noise):
            self.noise(self._random.randint(1, max(1, wrong.noise_bytes)), now)
        if self._hit("stall", wrong.stall):
            self._free_ms = max(self._free_ms, now) + wrong.stall_ms
        if self._hit("loss", wrong.loss):
            return
        if self._hit("reset", wrong.reset):
            self.reset_wanted = True
            frame = frame[: len(frame) // 2]
        elif self._hit("cut", wrong.cut):
            frame = frame[: self._random.randrange(len(frame))]
        if wrong.flip:
            frame = self._flipped(frame)
        for _ in range(1 + self._hit("repeat", wrong.repeat)):
            self._carry(frame, now)

    def _flipped(self, frame: bytes) -> bytes:
        share = self.mischief.flip
        out = bytearray(frame)
        for at in range(len(out)):
            if self._hit("flip", share):
                out[at] ^= 1 << self._random.randrange(8)
        return bytes(out)

    def _carry(self, data: bytes, now: int) -> None:
        if not data or self._carried + len(data) > MAX_CARRIED:
            return
        late = self._random.randint(0, self.mischief.jitter_ms) if self.mischief.jitter_ms else 0
        # Never before what was sent earlier: a wire does not reorder.
        self._free_ms = max(self._free_ms, now + self.mischief.delay_ms + late)
        self._under_way.append((self._free_ms, data))
        self._carried += len(data)


def garble(data: bytes, sent_rate: int, read_rate: int, chance: random.Random) -> bytes:
    """What an end that listens at `read_rate` makes of bytes sent at `sent_rate`: as long on the wire, but nonsense.

    A slow byte looks to a fast reader like several, most of them all zeros or ones; a fast one is seen in part.
    """
    if sent_rate == read_rate:
        return data
    length = max(1, min(4 * len(data), len(data) * read_rate // sent_rate))
    if read_rate > sent_rate:
        return bytes(chance.choice((0x00, 0x80, 0xE0, 0xF8, 0xFE, 0xFF, chance.randrange(256))) for _ in range(length))
    return chance.randbytes(length)
