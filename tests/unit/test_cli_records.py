"""`cdr export`: what others get of the call records, and what a spreadsheet must not do with it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent import cli
from agent.core.cdr import Cdr, Price
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.export import COLUMNS, csv_head, csv_line
from agent.store import OutboxState, Store, StoredCdr

PRICE = Price(
    product="privat", price_list="privat", version="7", prefix="46", destination="=Sweden", currency="NOK",
    vat="included", amount_micro=1_250_000, exact="5/4", billed_s=61, steps=[],
)  # fmt: skip


def record(number: int, began_at: str, **changes: object) -> Cdr:
    fields: dict[str, object] = {
        "id": str(uuid.UUID(int=number)), "direction": Direction.OUTGOING, "kind": CallKind.ORDINARY, "line": 0,
        "account": "line1", "own_number": "+4722000001", "number": "+4681234567", "boot_id": "b", "began_ms": 1,
        "began_at": began_at, "time_trusted": True, "duration_ms": 60_001, "setup_ms": 1, "cause": Cause.NORMAL,
        "released_by": Party.LOCAL, "price": PRICE,
    }  # fmt: skip
    return Cdr(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    async def fill() -> None:
        store = await Store.open(tmp_path)
        for number, at in enumerate(
            ("2026-10-31T22:59:59Z", "2026-10-31T23:00:00Z", "2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z"), start=1
        ):
            await store.finish(record(number, at), "2026-11")
        await store.quarantine(str(uuid.UUID(int=4)), "no such number +4681234567")
        await store.close()

    asyncio.run(fill())
    return tmp_path


def export(folder: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["cdr", "export", "--store", str(folder), *map(str, arguments)])


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout, newline="")))


def test_the_columns_are_those_that_were_promised() -> None:
    assert csv_head() == (
        "id,corrects,began_at,answered_at,time_trusted,direction,kind,line,own_number,number,duration_ms,cause,refusal,"
        "recovered,amount,currency,vat,billed_s,product,price_list,price_list_version,destination,unpriced,upload,"
        "upload_reason,codec,rx_packets,rx_lost,tx_packets,tx_lost,jitter_ms,round_trip_ms,heard_mos,sent_mos,"
        "worst_mos,one_way\r\n"
    )


def test_csv_is_oldest_first_masked_and_exact(folder: Path) -> None:
    found = rows(export(folder, "--csv"))
    assert [row["id"][-1] for row in found] == list("1234")
    assert found[0]["amount"] == "1.25"
    assert found[0]["line"] == "1"
    assert found[0]["number"] == "'+46 8•••••67"
    assert found[0]["destination"] == "'=Sweden"
    assert found[3]["upload"] == "quarantined"
    assert "81234567" not in export(folder, "--csv").stdout
    assert "22000001" not in export(folder, "--csv").stdout


def test_full_numbers_only_when_asked_for(folder: Path) -> None:
    assert rows(export(folder, "--csv", "--full"))[0]["number"] == "'+4681234567"
    shown = json.loads(export(folder, "--json", "--full").stdout)
    assert shown[3]["number"] == "+4681234567"
    assert shown[3]["upload_reason"] == "no such number +4681234567"
    hidden = export(folder, "--json").stdout
    assert "81234567" not in hidden
    assert [one["upload"] for one in json.loads(hidden)] == ["pending"] * 3 + ["quarantined"]


@pytest.mark.parametrize(
    ("period", "ids"),
    [
        (["--month", "2026-11"], "23"),
        (["--month", "2026-11", "--zone", "UTC"], "34"),
        (["--from", "2026-11-01"], "234"),
        (["--to", "2026-10-31"], "1"),
        (["--from", "2026-11-01", "--to", "2026-11-30"], "23"),
        (["--from", "2027-01-01"], ""),
    ],
)
def test_a_period_is_of_civil_days(folder: Path, period: list[str], ids: str) -> None:
    assert "".join(row["id"][-1] for row in rows(export(folder, "--csv", *period))) == ids
    assert [one["id"][-1] for one in json.loads(export(folder, "--json", *period).stdout)] == list(ids)


def test_a_file_is_written_whole_and_for_its_owner_alone(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "calls.csv"
    result = export(folder, "--csv", "--output", output)
    assert result.stdout == ""
    assert output.read_bytes().startswith(b"id,")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of --csv and --json"),
        (["--csv", "--json"], "one of --csv and --json"),
        (["--csv", "--month", "2026-11", "--from", "2026-11-01"], "not both"),
        (["--csv", "--output", "/nowhere/at/all"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(folder: Path, arguments: list[str], words: str) -> None:
    result = export(folder, *arguments)
    assert result.exit_code in (1, 2)
    assert words in result.stderr


def test_no_store_is_a_sentence(tmp_path: Path) -> None:
    assert "no store" in export(tmp_path / "absent", "--csv").stderr


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_becomes_a_formula_or_another_cell(destination: str, number: str) -> None:
    spoken = replace(record(1, "2026-11-01T00:00:00Z"), price=replace(PRICE, destination=destination), number=number)
    stored = StoredCdr(spoken, OutboxState.PENDING, destination)
    (cells,) = csv.reader(io.StringIO(csv_line(stored), newline=""))
    assert len(cells) == len(COLUMNS)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
