"""How the command line shows a look-up and a comparison of price lists, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from agent.core.tariff import Rate
from agent.rating.cells import COLUMNS, MORE_COLUMNS, write
from agent.rating.comparing import Change, Comparison, Difference
from agent.rating.deck import Deck
from agent.rating.finding import LookUp
from agent.rating.wording import full_text, price_text
from agent.texts import Texts

MAX_PREFIXES_SHOWN: Final = 6


def found_lines(found: LookUp, deck: Deck, product: str, lang: str, texts: Texts) -> Iterator[str]:
    """Yield each step of a look-up as a sentence."""
    yield texts.say("deck-find.how", lang, list=deck.header.rules.price_list, product=product)
    misses = found.tried[:-1] if found.rows else found.tried
    for digits in misses:
        yield texts.say("deck-find.nothing", lang, digits=digits)
    for rate in found.rows:
        key = "deck-find.whole" if rate.lengths.exact else "deck-find.entry"
        yield texts.say(key, lang, **_entry(rate, deck, lang, texts))
    if not found.rows and not found.longer:
        yield texts.say("deck-find.none", lang, digits=found.tried[0])
    if found.longer:
        yield texts.say("deck-find.longer", lang, count=str(found.longer_count), digits=found.tried[0])
        for rate in found.longer:
            yield f"  {texts.say('deck-find.longer_row', lang, **_entry(rate, deck, lang, texts))}"
    if found.seems_national:
        yield texts.say("deck-find.national", lang)
    if found.rows:
        yield texts.say("deck-find.vat", lang, vat=texts.say(f"vat.{deck.header.rules.vat}", lang))


def found_json(found: LookUp, deck: Deck) -> object:
    """Return a look-up as plain objects; rows have the columns of a deck."""
    return {
        "price_list": deck.header.rules.price_list, "version": deck.header.rules.version,
        "currency": deck.header.rules.currency, "vat": deck.header.rules.vat.value, "tried": list(found.tried),
        "rows": [_cells(rate) for rate in found.rows], "longer": [_cells(rate) for rate in found.longer],
        "longer_count": found.longer_count,
    }  # fmt: skip


def difference_lines(comparison: Comparison, old: Deck, new: Deck, lang: str, texts: Texts) -> Iterator[str]:
    """Yield what changes, the largest change first; codes of one destination and price share a line."""
    for key, before, after in comparison.said:
        yield texts.say("deck-diff.header", lang, what=key, before=before or "–", after=after or "–")
    for change in Change:
        differences = [it for it in comparison.differences if it.change is change]
        if not differences:
            continue
        yield texts.say(f"deck-diff.{change}", lang, count=str(len(differences)))
        groups: dict[tuple[str, str, str], list[Difference]] = {}
        for it in differences:
            before = full_text(it.before, old.header.rules.currency, lang) if it.before else ""
            after = full_text(it.after, new.header.rules.currency, lang) if it.after else ""
            groups.setdefault((it.destination, before, after), []).append(it)
        for (destination, before, after), group in sorted(groups.items(), key=lambda item: _order(item[1][0])):
            percent = group[0].percent
            share = f" ({percent_text(percent, lang)})" if percent is not None else ""
            prices = " → ".join(filter(None, (before, after)))
            yield f"  {_prefixes(group)} {destination}: {prices}{share}"
    yield texts.say("deck-diff.same", lang, count=str(comparison.same))


def difference_json(comparison: Comparison, old: Deck, new: Deck) -> object:
    """Return a comparison as plain objects; `percent` is an exact fraction of a three-minute call as text."""
    return {
        "old": {"price_list": old.header.rules.price_list, "version": old.header.rules.version, "sha256": old.sha256},
        "new": {"price_list": new.header.rules.price_list, "version": new.header.rules.version, "sha256": new.sha256},
        "header": [{"key": key, "old": before, "new": after} for key, before, after in comparison.said],
        "differences": [
            {
                "change": it.change.value, "prefix": it.prefix, "destination": it.destination,
                "percent": None if it.percent is None else str(it.percent),
                "old": _cells(it.before) if it.before else None, "new": _cells(it.after) if it.after else None,
            }
            for it in comparison.differences
        ],
        "same": comparison.same,
    }  # fmt: skip


def percent_text(percent: Fraction, lang: str) -> str:
    """Return a change with its sign and one decimal: `+10.3 %`, `−5,0 %`."""
    tenths = round(abs(percent) * 10)
    sign = "+" if percent > 0 else "−" if percent < 0 else "±"
    return f"{sign}{tenths // 10}{',' if lang == 'nb' else '.'}{tenths % 10} %"


def _order(difference: Difference) -> tuple[Fraction, str]:
    return -abs(difference.percent or Fraction(0)), difference.prefix


def _prefixes(group: list[Difference]) -> str:
    shown = ", ".join(it.prefix for it in group[:MAX_PREFIXES_SHOWN])
    return shown if len(group) <= MAX_PREFIXES_SHOWN else f"{shown} … (+{len(group) - MAX_PREFIXES_SHOWN})"


def _entry(rate: Rate, deck: Deck, lang: str, texts: Texts) -> dict[str, str]:
    if rate.tariff.blocked:
        price = texts.say("deck-find.blocked", lang)
    elif rate.tariff.is_free:
        price = texts.say("deck-find.free", lang)
    else:
        price = price_text(rate, deck.header.rules.currency, lang)
    days = [f"{rate.valid_from or ''}–{rate.valid_until or ''}"] if rate.valid_from or rate.valid_until else []
    terms = "".join(f" ({it})" for it in (*([] if rate.when.is_always else [str(rate.when)]), *days))
    return {"prefix": rate.prefix, "destination": rate.destination, "price": price, "terms": terms}


def _cells(rate: Rate) -> dict[str, str]:
    return {name: cell for name, cell in zip((*COLUMNS, *MORE_COLUMNS), write(rate), strict=True) if cell}
