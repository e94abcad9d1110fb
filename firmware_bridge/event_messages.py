"""What the card tells (kind EVT) and the speech of both ends (kind AUDIO). Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

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


class MeasuredValue(Struct, frozen=True):
    """One number of a line test. PERMILLE: by how much the loop's resistance differs at a second current."""

    between: Annotated[Conductors, Choice(Conductors)]
    unit: Annotated[Unit, Choice(Unit)]
    value: Annotated[int, I32]


@event(0x12)
class LineStatus(Struct, frozen=True):
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
class HookEvent(Struct, frozen=True):
    """The handset was lifted or replaced."""

    t_us: Annotated[int, U64]
    off_hook: Annotated[bool, BOOL]
    cause: Annotated[HookCause, Choice(HookCause)] = HookCause.LOOP


@event(0x41)
class FlashEvent(Struct, frozen=True):
    """A hook press inside the flash window."""

    t_us: Annotated[int, U64]
    ms: Annotated[int, U16]


@event(0x42)
class DigitEvent(Struct, frozen=True):
    """A digit began (DTMF) or was counted (pulse): `0`-`9`, `*`, `#`, `A`-`D`."""

    t_us: Annotated[int, U64]
    digit: Annotated[str, Text(1)]
    method: Annotated[DigitMethod, Choice(DigitMethod)] = DigitMethod.DTMF


@event(0x43)
class DigitEndEvent(Struct, frozen=True):
    """A DTMF digit was released."""

    t_us: Annotated[int, U64]
    digit: Annotated[str, Text(1)]
    ms: Annotated[int, U16]


@event(0x44)
class RingPhaseEvent(Struct, frozen=True):
    """Ringing burst number `burst` (from 1) began or ended."""

    t_us: Annotated[int, U64]
    burst: Annotated[int, U16]
    on: Annotated[bool, BOOL]


@event(0x45)
class ToneDoneEvent(Struct, frozen=True):
    """A tone ended."""

    t_us: Annotated[int, U64]
    result: Annotated[DoneResult, Choice(DoneResult)]


@event(0x46)
class CidDoneEvent(Struct, frozen=True):
    """A caller display was sent, or not."""

    t_us: Annotated[int, U64]
    result: Annotated[DoneResult, Choice(DoneResult)]


@event(0x47)
class ModemToneEvent(Struct, frozen=True):
    """A machine speaks."""

    t_us: Annotated[int, U64]
    tone: Annotated[ModemTone, Choice(ModemTone)]


@event(0x48)
class FaultEvent(Struct, frozen=True):
    """Something is wrong with the line, and what the card did about it."""

    t_us: Annotated[int, U64]
    faults: Annotated[int, U16]
    action: Annotated[FaultAction, Choice(FaultAction)]


@event(0x49)
class FaultClearedEvent(Struct, frozen=True):
    """These faults are gone."""

    t_us: Annotated[int, U64]
    faults: Annotated[int, U16]


@event(0x4A)
class LineTestResultEvent(Struct, frozen=True):
    """The outcome of one line test, a bit of LineTest. OK and FAIL are the card's opinion; the host judges `values`."""

    t_us: Annotated[int, U64]
    test: Annotated[int, U16]
    status: Annotated[LineTestStatus, Choice(LineTestStatus)]
    values: Annotated[tuple[MeasuredValue, ...], Many(Layout(MeasuredValue), 16)] = ()


@event(0x4B)
class LinefeedEvent(Struct, frozen=True):
    """The feed of the line changed."""

    t_us: Annotated[int, U64]
    linefeed: Annotated[Linefeed, Choice(Linefeed)]
    cause: Annotated[LinefeedCause, Choice(LinefeedCause)]


@event(0x4C)
class ButtonEvent(Struct, frozen=True):
    """The adapter's button went down (`held_ms` 0) or up."""

    t_us: Annotated[int, U64]
    down: Annotated[bool, BOOL]
    held_ms: Annotated[int, U32] = 0


@event(0x64)
class AudioStatsEvent(Struct, frozen=True):
    """How the playout of the line fares, since AUDIO_START."""

    t_us: Annotated[int, U64]
    underruns: Annotated[int, U32]
    overruns: Annotated[int, U32]
    depth: Annotated[int, U8]
    drift_ppm: Annotated[int, I16]


@message(0x62, Kind.AUDIO, Direction.TO_HOST)
class AudioRx(Struct, frozen=True):
    """Speech from the line; `counter` counts samples of the line's own clock. `flags`: bits of AudioFlag."""

    counter: Annotated[int, U32]
    flags: Annotated[int, U8]
    data: Annotated[bytes, Rest(160)]


@message(0x63, Kind.AUDIO, Direction.TO_CARD)
class AudioTx(Struct, frozen=True):
    """Speech to the line; `counter` repeats that of the frame it answers."""

    counter: Annotated[int, U32]
    flags: Annotated[int, U8]
    data: Annotated[bytes, Rest(160)]
