"""A small price list in canonical form, and ways to make others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

HEADER = {
    "price_list": "privat", "product": "privat", "currency": "NOK", "vat": "included", "version": "7",
    "valid_from": "2026-01-01", "rounding": "half_up", "decimals": "4", "seconds": "up",
}  # fmt: skip
COLUMNS = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum"
ROWS = (
    "1,USA,0,0.39,60,1,,",
    "1803,USA South Carolina,0,0.50,60,1,,",
    "46,Sverige,0,0.29,60,1,,",
    "467,\"Sverige, mobil\",0,0.89,60,1,,",
    "470,Femsifret,0,0.49,60,1,,",
    "4718,Opplysningen,19.00,19.00,60,60,,",
    "472,Norge fast,0,0,60,1,,",
    "474,Norge mobil,0,0,60,1,,",
    "47815,Bedriftsnummer,0,0.69,60,1,,",
    "47820,Teletorg,5.00,20.00,60,60,,25.00",
    "49,Tyskland,0.40,0.20,60,60,60:0.10/60/1,",
    "881,Satellitt,,blocked,,,,",
)  # fmt: skip


@pytest.fixture
def deck_text() -> Callable[..., str]:
    """Return a function that writes a deck: `rows` replaces its rows, keywords change or (None) drop header lines."""

    def write(*rows: str, columns: str = COLUMNS, **changes: str | None) -> str:
        header = {**HEADER, **changes}
        lines = [f"# {key}: {value}" for key, value in header.items() if value is not None]
        return "\n".join([*lines, columns, *(rows or ROWS)]) + "\n"

    return write
