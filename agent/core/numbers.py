"""Telephone numbers: one canonical form, what they are, how they are shown and how SIP wants them.

The canonical form is `+` and E.164 digits, or a Norwegian short number as dialled (`112`, `1881`, `116117`, `02800`).
A short number written with the country code (`+471881`) is the same short number. Text that is no number stays as it
is: these functions are total, so that whatever a stranger puts into an INVITE cannot stop a telephone.

Source: Nkom, all number series (E.164 country code 47); ITU-T E.164 for country codes and the 15-digit limit.
"""

from __future__ import annotations

import enum
import re
from typing import Final

EMERGENCY: Final = frozenset({"110", "112", "113", "1412"})
"""Fire, police, ambulance, and the text telephone's emergency number: always allowed, always free."""

MAX_E164_DIGITS: Final = 15
MIN_E164_DIGITS: Final = 7
"""The shortest numbers in use with a country code of their own (Ascension, Niue, Saint Helena) have seven digits."""


class NumberClass(enum.StrEnum):
    """What a number is, by its range."""

    EMERGENCY = "emergency"
    FIXED = "fixed"
    MOBILE = "mobile"
    M2M = "m2m"
    TOLL_FREE = "toll_free"
    SHARED_COST = "shared_cost"
    PREMIUM = "premium"
    UNIVERSAL = "universal"
    """815 and the five-digit 0xxxx: one number for a whole organisation."""
    VOIP = "voip"
    PERSONAL = "personal"
    SPECIAL = "special"
    """The rest of 8xx."""
    DIRECTORY = "directory"
    SOCIAL = "social"
    """116xxx, harmonised in Europe as numbers of social value."""
    SHORT = "short"
    INTERNATIONAL = "international"
    UNKNOWN = "unknown"
    """No number that can be called: impossible length, unused series, or no number at all."""


class NumberFormat(enum.StrEnum):
    """How a SIP platform wants numbers in the user part."""

    PLUS = "plus"
    DIGITS = "digits"
    NATIONAL = "national"


_SEPARATORS = str.maketrans("", "", " \u00a0-./()")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_SHORT = re.compile(
    r"10[0-9]|11[0-57-9]|116[0-9]{3}|1[23][0-9]|14[02-9]|141[0-9]|1[5-7][0-9]|18[0-9]{2}|19[0-9]{1,2}|0[2-9][0-9]{3}"
)
_NATIONAL = re.compile(r"[2-9][0-9]{7}|58[0-9]{10}")
"""Eight digits, or twelve for machines in 58."""

_NORWEGIAN_CLASSES: Final = tuple(
    (re.compile(pattern), number_class)
    for pattern, number_class in (
        (r"58[0-9]{10}|59[0-9]{6}", NumberClass.M2M),
        (r"58[0-9]*", NumberClass.UNKNOWN),
        (r"[49][0-9]{7}", NumberClass.MOBILE),
        (r"[23567][0-9]{7}", NumberClass.FIXED),
        (r"80[01][0-9]{5}", NumberClass.TOLL_FREE),
        (r"810[0-9]{5}", NumberClass.SHARED_COST),
        (r"815[0-9]{5}", NumberClass.UNIVERSAL),
        (r"82[09][0-9]{5}", NumberClass.PREMIUM),
        (r"85[0-9]{6}", NumberClass.VOIP),
        (r"880[0-9]{5}", NumberClass.PERSONAL),
        (r"8[0-9]{7}", NumberClass.SPECIAL),
        (r"116[0-9]{3}", NumberClass.SOCIAL),
        (r"18[0-9]{2}", NumberClass.DIRECTORY),
        (r"0[2-9][0-9]{3}", NumberClass.UNIVERSAL),
    )
)

_TWO_DIGIT_CODES = re.compile(r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")


def normalise(dialled: str, *, country_code: str = "47", international_prefix: str = "00") -> str:
    """Return the canonical form of a number as dialled, typed, or found in a SIP user part.

    Digits without prefix are read as the Norwegian plan reads them (short, 8 digits, 12 digits in 58) and otherwise,
    from 7 digits up, as a number that begins with its country code. What fits nothing comes back as it was.
    """
    text = dialled.strip().translate(_SEPARATORS)
    if text.startswith("+"):
        digits = text[1:]
    elif text.startswith(international_prefix):
        digits = text[len(international_prefix) :]
    elif _DIGITS.fullmatch(text):
        return _from_bare_digits(text, country_code)
    else:
        return dialled
    if not _DIGITS.fullmatch(digits) or digits.startswith("0"):
        return dialled
    return _from_international(digits, country_code)


def render(number: str, fmt: str, *, country_code: str = "47", international_prefix: str = "00") -> str:
    """Return the SIP user part for a canonical number: `plus`, `digits` or `national`; short numbers stay as dialled.

    Raises ValueError for an unknown format.
    """
    form = NumberFormat(fmt)
    if not number.startswith("+") or form is NumberFormat.PLUS:
        return number
    digits = number[1:]
    if form is NumberFormat.DIGITS:
        return digits
    if digits.startswith(country_code):
        return digits[len(country_code) :]
    return international_prefix + digits


def mask(number: str) -> str:
    """Return a number fit for logs and pages: country code, first digit and last two; short numbers whole.

    `+4741234512` becomes `+47 4•• •• •12`. In text that is no number every digit is hidden.
    """
    if number.startswith("+") and _DIGITS.fullmatch(number[1:]):
        code, national = split_country_code(number)
        hidden = _hide_middle(national)
        if code == "47" and len(hidden) == 8:
            hidden = f"{hidden[:3]} {hidden[3:5]} {hidden[5:]}"
        return f"+{code} {hidden}"
    if is_short(number) or (len(number) <= 4 and _DIGITS.fullmatch(number)):
        return number
    if _DIGITS.fullmatch(number):
        return _hide_middle(number)
    shown = re.sub(r"\d", "•", number[:32])
    return shown if len(number) <= 32 else f"{shown}…"


def classify(number: str, *, emergency: frozenset[str] = EMERGENCY) -> NumberClass:
    """Return what a canonical number is. `emergency` may add numbers to the built-in ones, never remove them."""
    if number in EMERGENCY or number in emergency:
        return NumberClass.EMERGENCY
    if number.startswith("+47"):
        national = number[3:]
    elif is_short(number):
        national = number
    elif number.startswith("+") and _is_possible_e164(number[1:]):
        return NumberClass.INTERNATIONAL
    else:
        return NumberClass.UNKNOWN
    for pattern, number_class in _NORWEGIAN_CLASSES:
        if pattern.fullmatch(national):
            return number_class
    return NumberClass.SHORT if national == number else NumberClass.UNKNOWN


def is_short(number: str) -> bool:
    """Whether this is a Norwegian number shorter than 8 digits, in canonical form."""
    return _SHORT.fullmatch(number) is not None


def split_country_code(number: str) -> tuple[str, str]:
    """Split `+E164` into country code and the rest, by the lengths of ITU-T E.164 (1, 2 or 3 digits)."""
    digits = number.removeprefix("+")
    if digits[:1] in ("1", "7"):
        return digits[:1], digits[1:]
    length = 2 if _TWO_DIGIT_CODES.fullmatch(digits[:2]) else 3
    return digits[:length], digits[length:]


def _from_bare_digits(digits: str, country_code: str) -> str:
    if is_short(digits):
        return digits
    if _NATIONAL.fullmatch(digits):
        return f"+{country_code}{digits}"
    if digits.startswith(country_code) and is_short(digits[len(country_code) :]):
        return digits[len(country_code) :]
    # A telephone cannot dial these (the digit map ends first): they come from SIP and from people at a keyboard.
    if not digits.startswith("0") and MIN_E164_DIGITS <= len(digits) <= MAX_E164_DIGITS and len(digits) != 8:
        return f"+{digits}"
    return digits


def _from_international(digits: str, country_code: str) -> str:
    national = digits.removeprefix(country_code)
    if national != digits and is_short(national):
        return national
    return f"+{digits}"


def _is_possible_e164(digits: str) -> bool:
    return (
        _DIGITS.fullmatch(digits) is not None
        and not digits.startswith("0")
        and MIN_E164_DIGITS <= len(digits) <= MAX_E164_DIGITS
    )


def _hide_middle(digits: str) -> str:
    if len(digits) < 4:
        return "•" * len(digits)
    return digits[0] + "•" * (len(digits) - 3) + digits[-2:]
