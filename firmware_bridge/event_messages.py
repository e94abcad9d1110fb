"""What the card tells (kind EVT) and the speech of both ends (kind AUDIO). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from firmware_bridge.schema import event, message
from firmware_bridge.vocabulary import (
    Conductors,
    DigitMethod,
    Direction,
    DoneResult,
    FaultAction,
    HookCause,
    Kind,
    Linefeed,
    LinefeedCause,
    LineTestStatus,
    ModemTone,
    Unit,
)
from firmware_bridge.wire import BOOL, I8, I16, I32, U8, U16, U32, U64, Choice, Layout, Many, Rest, Text


@dataclass(frozen=True, slots=True)
class MeasuredValue:
    """One number of a line test. PERMILLE: by how much the loop's resistance differs at a second current."""

    between: Annotated[Conductors, Choice(Conductors)]
    unit: Annotated[Unit, Choice(Unit)]
    value: Annotated[int, I32]


@event(0x12)
@dataclass(frozen=True, slots=True)
class LineStatus:
    """The whole state of a line: at the start of a session, each second, and on request. `faults`: bits of Fault."""

    t_us: Annotated[int, U64]
    off_hook: Annotated[bool, BOOL]
    linefeed: Annotated[Linefeed, Choice(Linefeed)]
    ringing: Annotated[bool, BOOL]
    tone: Annotated[bool, BOOL]
    audio: Annotated[bool, BOOL]
    faults: Annotated[int, U16] = 0
    temperature_c: Annotated[int, I8] = 25
    tip_ring_mv: Annotated[int, I32] = 0
    loop_ua: Annotated[int, I32] = 0


@event(0x40)
@dataclass(frozen=True, slots=True)
class HookEvent:
    """The handset was lifted or replaced."""

    t_us: Annotated[int, U64]
    off_hook: Annotated[bool, BOOL]
    cause: Annotated[HookCause, Choice(HookCause)] = HookCause.LOOP


@event(0x41)
@dataclass(frozen=True, slots=True)
class FlashEvent:
    """A hook press inside the flash window."""

    t_us: Annotated[int, U64]
    ms: Annotated[int, U16]


@event(0x42)
@dataclass(frozen=True, slots=True)
class DigitEvent:
    """A digit began (DTMF) or was counted (pulse): `0`-`9`, `*`, `#`, `A`-`D`."""

    t_us: Annotated[int, U64]
    digit: Annotated[str, Text(1)]
    method: Annotated[DigitMethod, Choice(DigitMethod)] = DigitMethod.DTMF


@event(0x43)
@dataclass(frozen=True, slots=True)
class DigitEndEvent:
    """A DTMF digit was released."""

    t_us: Annotated[int, U64]
    digit: Annotated[str, Text(1)]
    ms: Annotated[int, U16]


@event(0x44)
@dataclass(frozen=True, slots=True)
class RingPhaseEvent:
    """Ringing burst number `burst` (from 1) began or ended."""

    t_us: Annotated[int, U64]
    burst: Annotated[int, U16]
    on: Annotated[bool, BOOL]


@event(0x45)
@dataclass(frozen=True, slots=True)
class ToneDoneEvent:
    """A tone ended."""

    t_us: Annotated[int, U64]
    result: Annotated[DoneResult, Choice(DoneResult)]


@event(0x46)
@dataclass(frozen=True, slots=True)
class CidDoneEvent:
    """A caller display was sent, or not."""

    t_us: Annotated[int, U64]
    result: Annotated[DoneResult, Choice(DoneResult)]


@event(0x47)
@dataclass(frozen=True, slots=True)
class ModemToneEvent:
    """A machine speaks."""

    t_us: Annotated[int, U64]
    tone: Annotated[ModemTone, Choice(ModemTone)]


@event(0x48)
@dataclass(frozen=True, slots=True)
class FaultEvent:
    """Something is wrong with the line, and what the card did about it."""

    t_us: Annotated[int, U64]
    faults: Annotated[int, U16]
    action: Annotated[FaultAction, Choice(FaultAction)]


@event(0x49)
@dataclass(frozen=True, slots=True)
class FaultClearedEvent:
    """These faults are gone."""

    t_us: Annotated[int, U64]
    faults: Annotated[int, U16]


@event(0x4A)
@dataclass(frozen=True, slots=True)
class LineTestResultEvent:
    """The outcome of one line test, a bit of LineTest. OK and FAIL are the card's opinion; the host judges `values`."""

    t_us: Annotated[int, U64]
    test: Annotated[int, U16]
    status: Annotated[LineTestStatus, Choice(LineTestStatus)]
    values: Annotated[tuple[MeasuredValue, ...], Many(Layout(MeasuredValue), 16)] = ()


@event(0x4B)
@dataclass(frozen=True, slots=True)
class LinefeedEvent:
    """The feed of the line changed."""

    t_us: Annotated[int, U64]
    linefeed: Annotated[Linefeed, Choice(Linefeed)]
    cause: Annotated[LinefeedCause, Choice(LinefeedCause)]


@event(0x4C)
@dataclass(frozen=True, slots=True)
class ButtonEvent:
    """The adapter's button went down (`held_ms` 0) or up."""

    t_us: Annotated[int, U64]
    down: Annotated[bool, BOOL]
    held_ms: Annotated[int, U32] = 0


@event(0x64)
@dataclass(frozen=True, slots=True)
class AudioStatsEvent:
    """How the playout of the line fares, since AUDIO_START."""

    t_us: Annotated[int, U64]
    underruns: Annotated[int, U32]
    overruns: Annotated[int, U32]
    depth: Annotated[int, U8]
    drift_ppm: Annotated[int, I16]


@message(0x62, Kind.AUDIO, Direction.TO_HOST)
@dataclass(frozen=True, slots=True)
class AudioRx:
    """Speech from the line; `counter` counts samples of the line's own clock. `flags`: bits of AudioFlag."""

    counter: Annotated[int, U32]
    flags: Annotated[int, U8]
    data: Annotated[bytes, Rest(160)]


@message(0x63, Kind.AUDIO, Direction.TO_CARD)
@dataclass(frozen=True, slots=True)
class AudioTx:
    """Speech to the line; `counter` repeats that of the frame it answers."""

    counter: Annotated[int, U32]
    flags: Annotated[int, U8]
    data: Annotated[bytes, Rest(160)]
