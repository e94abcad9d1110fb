"""What the columns of a rate sheet mean: the headings that the trade uses, and what a heading says beside its name.

Headings were taken from sheets of Telnyx, TCXC, TWT, Gamma, MagnusBilling, A2Billing and NPA-NXX lists. A heading that
is not here is not guessed at: a mapping file names it.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from msgspec import Struct


class Field(enum.StrEnum):
    """What a column of a rate sheet holds; the names are those of a mapping file."""

    PREFIX = "prefix"
    """Prefixes: digits from the country code on, or behind that of `country_code` where that column is there."""
    COUNTRY_CODE = "country_code"
    NPANXX = "npanxx"
    """Six digits of the North American plan, behind country code 1."""
    ORIGIN = "origin"
    """Callers for whom the row holds; empty where it holds for all."""
    COUNTRY = "country"
    DESTINATION = "destination"
    RATE = "rate"
    CURRENT_RATE = "current_rate"
    NEW_RATE = "new_rate"
    PEAK_RATE = "peak_rate"
    OFF_PEAK_RATE = "off_peak_rate"
    WEEKEND_RATE = "weekend_rate"
    FIRST_RATE = "first_rate"
    NEXT_RATE = "next_rate"
    INCREMENTS = "increments"
    """First and following increment in one cell: `60/1`."""
    FIRST_INCREMENT = "first_increment"
    NEXT_INCREMENT = "next_increment"
    CONNECT_FEE = "connect_fee"
    DISCONNECT_FEE = "disconnect_fee"
    PER_CALL = "per_call"
    MINIMUM = "minimum"
    MINIMUM_TIME = "minimum_time"
    EFFECTIVE = "effective"
    UNTIL = "until"
    STATUS = "status"
    FORBIDDEN = "forbidden"
    DISCONTINUED = "discontinued"
    EXACT = "exact"
    MIN_LENGTH = "min_length"
    MAX_LENGTH = "max_length"
    CURRENCY = "currency"
    IGNORE = "ignore"
    """Of no interest to prices."""


CODES: Final = (Field.PREFIX, Field.COUNTRY_CODE, Field.NPANXX)
RATES: Final = (
    Field.RATE, Field.CURRENT_RATE, Field.NEW_RATE, Field.PEAK_RATE, Field.OFF_PEAK_RATE, Field.WEEKEND_RATE,
    Field.FIRST_RATE, Field.NEXT_RATE,
)  # fmt: skip
AMOUNTS: Final = (*RATES, Field.CONNECT_FEE, Field.DISCONNECT_FEE, Field.MINIMUM)
RATE_FAMILIES: Final = (
    frozenset({Field.RATE}), frozenset({Field.CURRENT_RATE}),
    frozenset({Field.PEAK_RATE, Field.OFF_PEAK_RATE, Field.WEEKEND_RATE}),
    frozenset({Field.FIRST_RATE, Field.NEXT_RATE}),
)  # fmt: skip
"""Ways to say what time costs, of which a sheet has one. A new rate stands beside one or alone."""

REPEATABLE: Final = (Field.IGNORE, Field.DESTINATION)
"""Fields that several columns may hold; the parts of a destination are joined in the order of the sheet."""

_KNOWN: Final = {
    Field.PREFIX: "prefix|prefixes|destination prefix|destination prefixes|dial prefix|dialprefix|dial code|dial codes|"
    "dialcode|code|codes|area code|area codes|city code|city codes|breakout|breakouts|destination code|number prefix|"
    "retningsnummer|prefiks",
    Field.COUNTRY_CODE: "country code|country codes|cc|landkode",
    Field.NPANXX: "npanxx|npa nxx",
    Field.ORIGIN: "origination prefix|origination prefixes|origin prefix|origin prefixes|origin|origin codes",
    Field.COUNTRY: "country|country name|land",
    Field.DESTINATION: "destination|destinations|destination name|description|name|area|area name|region|zone|"
    "destinasjon|beskrivelse",
    Field.RATE: "rate|rates|price|tariff|rateinitial|rate initial|rate per minute|price per minute|rate min|price min|"
    "pris|pris per minutt|minuttpris",
    Field.CURRENT_RATE: "current rate|current price|old rate|old price|previous rate|previous price|present rate",
    Field.NEW_RATE: "new rate|new price|future rate|future price",
    Field.PEAK_RATE: "peak|peak rate|peak price|peak per minute",
    Field.OFF_PEAK_RATE: "off peak|offpeak|off peak rate|off peak price|off peak per minute",
    Field.WEEKEND_RATE: "weekend|weekend rate|weekend price|weekend per minute",
    Field.FIRST_RATE: "price 1|rate 1",
    Field.NEXT_RATE: "price n|rate n",
    Field.INCREMENTS: "increment|increments|billing increment|billing increments|billing|interval|intervals",
    Field.FIRST_INCREMENT: "interval 1|initblock|init block|first increment|initial increment|minimum increment|"
    "first interval|initial interval",
    Field.NEXT_INCREMENT: "interval n|billingblock|billing block|next increment|subsequent increment|next interval|"
    "subsequent interval",
    Field.CONNECT_FEE: "connect fee|connection fee|connectcharge|connect charge|connection charge|call set up charge|"
    "call setup charge|setup fee|set up fee|startavgift|startpris",
    Field.DISCONNECT_FEE: "disconnectcharge|disconnect charge",
    Field.PER_CALL: "price per call|per call|rate per call|price call",
    Field.MINIMUM: "minimum charge|min charge|minimum price",
    Field.MINIMUM_TIME: "minimal time charge|minimum time|minimum duration",
    Field.EFFECTIVE: "effective|effective from|effective date|eff date|valid from|validity|start date|startdate|from|"
    "gjelder fra|gyldig fra",
    Field.UNTIL: "until|valid until|valid to|end date|expiry date|stop date|stopdate|gyldig til",
    Field.STATUS: "status|change|rate change|code status|action",
    Field.FORBIDDEN: "forbidden|blocked|barred",
    Field.DISCONTINUED: "discontinued|closed",
    Field.EXACT: "exact match",
    Field.MIN_LENGTH: "min length|minimum length|dst number min length",
    Field.MAX_LENGTH: "max length|maximum length|dst number max length",
    Field.CURRENCY: "currency|valuta",
    Field.IGNORE: "comment|comments|remark|remarks|note|notes|iso|iso code|rate id|route type|route class|id|kommentar",
}  # fmt: skip
_FIELD_OF: Final = {name: field for field, names in _KNOWN.items() for name in names.split("|")}

_ASIDE = re.compile(r"[(\[][^)\]]*[)\]]")
_WORDS = re.compile(r"[^\W_]+")
_ISO = re.compile(r"\b(AUD|CAD|CHF|DKK|EUR|GBP|ISK|JPY|NOK|NZD|PLN|SEK|USD)\b", re.IGNORECASE)
_SIGNS: Final = {
    "€": ("EUR",), "£": ("GBP",), "$": ("USD", "CAD", "AUD", "NZD"), "kr": ("NOK", "SEK", "DKK", "ISK"),
    "US$": ("USD",), "A$": ("AUD",), "C$": ("CAD",), "NOK": ("NOK",),
}  # fmt: skip
_UNIT = re.compile(r"(?:\bper\b|/)\s*(min|sec)", re.IGNORECASE)
_UNIT_END = re.compile(r"(?:\s*(?:\bper\b|/)\s*(?:minutes?|min|seconds?|sec)\b\.?)\s*$", re.IGNORECASE)
_HUNDREDTHS = re.compile(r"\b(?:cents?|ct|cts|pence|øre|ore)\b|¢", re.IGNORECASE)
_ATTACHED_SIGN = re.compile(r"[€£$¢]")


class Heading(Struct, frozen=True):
    """One column. `currencies` and `unit_s` (seconds that a rate is for) are what the heading says, if anything.

    `hundredths`: amounts are in cents, pence or øre.
    """

    place: int
    name: str
    field: Field
    currencies: tuple[str, ...] = ()
    unit_s: int | None = None
    hundredths: bool = False


def recognise(name: str, place: int, field: Field | None = None) -> Heading | None:
    """Return what a heading of the trade means, or of a mapping (`field`); None for one that nobody has named."""
    said = field or _FIELD_OF.get(_plain(name)) or _FIELD_OF.get(_plain(_UNIT_END.sub("", _without_aside(name))))
    if said is None:
        return None
    unit = _UNIT.search(name)
    return Heading(
        place, name, said, currencies_in(name),
        None if unit is None else 60 if unit[1].lower() == "min" else 1,
        hundredths=_HUNDREDTHS.search(name) is not None,
    )  # fmt: skip


def currencies_in(text: str) -> tuple[str, ...]:
    """Return the currencies that a sign or code in `text` may mean; empty where there is none."""
    code = _ISO.search(text)
    if code is not None:
        return (code[1].upper(),)
    for sign in ("US$", "A$", "C$", "€", "£", "$"):
        if sign in text:
            return _SIGNS[sign]
    return _SIGNS["kr"] if re.search(r"\bkr\b", text, re.IGNORECASE) else ()


def same_heading(one: str, other: str) -> bool:
    """Whether two headings are the same but for case, spaces and punctuation."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def _without_aside(name: str) -> str:
    text = _ASIDE.sub(" ", name)
    text = _ISO.sub(" ", text)
    return _ATTACHED_SIGN.sub(" ", _HUNDREDTHS.sub(" ", text))


def _plain(name: str) -> str:
    return " ".join(_WORDS.findall(name.replace("_", " ").casefold()))
