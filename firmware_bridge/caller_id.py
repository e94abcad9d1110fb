"""What a telephone is told of a caller: presentation messages of the analogue line, written and read.

A message is type, length, parameters (each type, length, content), and a checksum that makes the sum of all bytes zero
modulo 256. Sources: ETSI EN 300 659-3 §5 (messages, parameters, coding), Telcordia GR-30 (the same layout, MDMF).
Content is ASCII: telephones agree on nothing beyond it, so Norwegian letters are written with the nearest ones.
"""

from __future__ import annotations

import enum
import unicodedata
from typing import Final

from msgspec import Struct

MAX_MESSAGE: Final = 200
MAX_NUMBER: Final = 20
MAX_NAME: Final = 20
"""What every display shows; EN 300 659-3 allows 20 and 50, GR-30 10 to 23 and 15."""

_CALL_SETUP: Final = 0x80
_MESSAGE_WAITING: Final = 0x82
_DATE_TIME, _NUMBER, _NO_NUMBER, _NAME, _NO_NAME, _INDICATOR, _CALL_TYPE = 0x01, 0x02, 0x04, 0x07, 0x08, 0x0B, 0x11
_VOICE_CALL: Final = b"\x01"
_LETTERS = str.maketrans({"æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "å": "a", "Å": "A", "ß": "ss", "đ": "d", "ł": "l"})
_DIGITS: Final = frozenset("0123456789*#+")


class CallerIdError(ValueError):
    """Bytes that are no presentation message; the sentence says which byte was wrong."""


class Absence(enum.Enum):
    """Why a number or name is not shown (EN 300 659-3 §5.4.4)."""

    UNAVAILABLE = b"O"
    WITHHELD = b"P"


class Caller(Struct, frozen=True):
    """Who calls: `number` as it is to be shown and `name`, or why there is none. `month_day_time`: local `MMDDhhmm`."""

    number: str | Absence = Absence.UNAVAILABLE
    name: str | Absence | None = None
    month_day_time: str = ""


def call_setup(caller: Caller, *, call_type: bool = True) -> bytes:
    """The message that announces a call. `call_type` False: without the parameter that GR-30 does not know."""
    body = b""
    if call_type:
        body += _parameter(_CALL_TYPE, _VOICE_CALL)
    if len(caller.month_day_time) == 8 and caller.month_day_time.isascii() and caller.month_day_time.isdigit():
        body += _parameter(_DATE_TIME, caller.month_day_time.encode("ascii"))
    name = caller.name
    if isinstance(name, str):
        shown = plain(name)[:MAX_NAME]
        if shown:
            body += _parameter(_NAME, shown.encode("ascii"))
    elif name is not None:
        body += _parameter(_NO_NAME, name.value)
    number = caller.number
    if isinstance(number, str):
        digits = "".join(digit for digit in number if digit in _DIGITS)[:MAX_NUMBER]
        number = digits or Absence.UNAVAILABLE
    if isinstance(number, str):
        body += _parameter(_NUMBER, number.encode("ascii"))
    else:
        body += _parameter(_NO_NUMBER, number.value)
    return _message(_CALL_SETUP, body)


def message_waiting(*, waiting: bool) -> bytes:
    """The message that lights or puts out a telephone's lamp for waiting messages (VMWI)."""
    return _message(_MESSAGE_WAITING, _parameter(_INDICATOR, b"\xff" if waiting else b"\x00"))


_DTMF_ABSENCE: Final = {Absence.UNAVAILABLE: "B00C", Absence.WITHHELD: "B10C"}


def dtmf(caller: Caller) -> str:
    """The keys that announce a call: `A` number `C`, or `B` and why there is no number (EN 300 659-1, DTMF annex)."""
    number = caller.number
    if isinstance(number, str):
        digits = "".join(digit for digit in number if digit.isascii() and digit.isdigit())[:MAX_NUMBER]
        if digits:
            return f"A{digits}C"
        number = Absence.UNAVAILABLE
    return _DTMF_ABSENCE[number]


def read_dtmf(keys: str) -> Caller:
    """Read the keys that announce a call. Raises CallerIdError."""
    for absence, written in _DTMF_ABSENCE.items():
        if keys == written:
            return Caller(absence)
    if len(keys) > 2 and keys[0] == "A" and keys[-1] == "C" and keys[1:-1].isdigit():
        return Caller(keys[1:-1])
    raise CallerIdError(f"found {keys[:32]!r} where the keys of a caller stand: A number C, B00C or B10C")


def plain(text: str) -> str:
    """Text in printable ASCII, letters without their marks; what has no such form is left out."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(letter for letter in decomposed if " " <= letter <= "~").strip()


class Presented(Struct, frozen=True):
    """What a telephone reads. `waiting` is there in a message about waiting messages only."""

    caller: Caller
    waiting: bool | None = None


def read_message(message: bytes) -> Presented:
    """Read a message; parameters that are not known are passed over. Raises CallerIdError."""
    if len(message) < 3 or len(message) != message[1] + 3:
        raise CallerIdError(f"byte 1: the length does not fit a message of {len(message)} bytes")
    if sum(message) % 256:
        raise CallerIdError(f"byte {len(message) - 1}: the checksum is wrong")
    if message[0] not in (_CALL_SETUP, _MESSAGE_WAITING):
        raise CallerIdError(f"byte 0: message type 0x{message[0]:02x} is not known")
    found: dict[int, bytes] = {}
    at, end = 2, len(message) - 1
    while at < end:
        if at + 2 > end or at + 2 + message[at + 1] > end:
            raise CallerIdError(f"byte {at}: a parameter reaches beyond the message")
        found[message[at]] = message[at + 2 : at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    number = _read(found, _NUMBER, _NO_NUMBER)
    caller = Caller(
        Absence.UNAVAILABLE if number is None else number, _read(found, _NAME, _NO_NAME), _text(found, _DATE_TIME)
    )
    return Presented(caller, found[_INDICATOR] == b"\xff" if _INDICATOR in found else None)


def _read(found: dict[int, bytes], present: int, absent: int) -> str | Absence | None:
    if present in found:
        return _text(found, present)
    if absent not in found:
        return None
    return Absence.WITHHELD if found[absent] == Absence.WITHHELD.value else Absence.UNAVAILABLE


def _text(found: dict[int, bytes], parameter: int) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in found.get(parameter, b""))


def _parameter(kind: int, content: bytes) -> bytes:
    return bytes((kind, len(content))) + content


def _message(kind: int, body: bytes) -> bytes:
    head = bytes((kind, len(body))) + body
    return head + bytes((-sum(head) % 256,))
