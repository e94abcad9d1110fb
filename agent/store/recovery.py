"""At start: what the journal says and what the database has are brought to the same, whichever of them was harmed.

Everything goes by the id fixed when a call opened, so nothing is stored or counted twice however often it is replayed.
The journal has checksums and serials, the database has neither over its rows: where they differ, a flawless journal
is believed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.store import salvage
from agent.store.base import COUNT, DROP_EMPTY, INSERT_RECORD, count_parameters, is_open_call, write_base
from agent.store.details import COUNT_DETAIL, DROP_EMPTY_DETAILS, ToldDetails, count_anew, parameters
from agent.store.errors import Repair
from agent.store.journal import Journal, Survey, last_named, read
from agent.store.lines import (
    Acknowledged,
    Alive,
    Answered,
    Begun,
    Finished,
    Kept,
    Line,
    Opened,
    Purged,
    Quarantined,
    Requeued,
    Totals,
)

_ORDINARY_LAG = 1
"""Lines by which the database may be behind after a crash: written and synced, not yet committed."""

_encoder = msgspec.json.Encoder()

UsageKey = tuple[str, str, str]
"""Period, own number, currency."""


class Recovery(Struct):
    """What was found and done. `lag`: lines that the database did not have."""

    survey: Survey
    empty: bool
    """The database had nothing at all when it was opened."""
    lag: int = 0
    corrected: int = 0
    salvaged: int = 0
    journal_behind: bool = False
    """The database had records that the journal did not name, although they were synced there first."""

    def findings(self) -> list[str]:
        """What goes beyond that which an ordinary power cut leaves behind; empty where nothing does."""
        survey = self.survey
        found = []
        if self.lag > _ORDINARY_LAG:
            found.append("the database was behind its journal")
        if self.corrected:
            found.append("rows of the database differed from its journal")
        if survey.bad or survey.lost:
            where = f" ({survey.first_flaw})" if survey.first_flaw else ""
            found.append(f"its journal was damaged and has been written anew{where}")
        elif self.journal_behind:
            found.append("its journal lacked records and has been written anew")
        return found

    def repair(self, *, database_lost: bool) -> Repair:
        """The numbers to tell. `database_lost`: the database was damaged or is gone."""
        survey = self.survey
        behind = database_lost or self.lag > _ORDINARY_LAG
        return Repair(
            replayed=self.lag, salvaged=self.salvaged, corrected=self.corrected,
            bad_lines=survey.bad + survey.lost + survey.unknown,
            maybe_missing=behind and not (survey.flawless and not (database_lost and survey.torn)),
        )  # fmt: skip


class _Told(Struct):
    """What the journal says as a whole, gathered in a first reading."""

    last: dict[str, int] = msgspec.field(default_factory=dict)
    """Serial of the last `Finished` of each record; 0 where only a base or a purge names it."""
    answered: dict[str, bool] = msgspec.field(default_factory=dict)
    """Calls that were opened, and whether they were answered."""
    settled: set[str] = msgspec.field(default_factory=set)
    """Records that were acknowledged or set apart."""
    requeued: dict[str, int] = msgspec.field(default_factory=dict)
    """Serial of the last line by which a record that was set apart waits again: what set it apart before is over."""
    details: ToldDetails = msgspec.field(default_factory=ToldDetails)
    usage: dict[UsageKey, list[int]] = msgspec.field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))


def recover(db: sqlite3.Connection, folder: Path, damaged: Path | None) -> tuple[Journal, Recovery]:
    """Bring database and journal together; `damaged` is a database that was set aside.

    `db` is sound, of the newest schema, and nobody else writes it. Raises StoreError, sqlite3.Error.
    """
    told = _gather(folder)
    survey = Survey()
    recovery = Recovery(survey, empty=_is_empty(db))
    _bring_in(db, folder, told, recovery, damaged)
    recovery.journal_behind = not _holds_all(db, told)
    sound = survey.flawless and not recovery.journal_behind and bool(told.details.whole)
    if sound and survey.last_base is not None and _is_up_to_date(db, told):
        resume = None if survey.torn else survey.last_path
        journal = Journal(folder, survey.last_serial, size=survey.size, resume=resume)
        journal.drop_before(survey.last_base)
    else:
        # Behind whatever lies there: a harmed segment may be named after a serial that was never read.
        journal = Journal(folder, max(survey.last_serial, last_named(folder)), size=survey.size)
        write_base(db, journal)
    return journal, recovery


def _gather(folder: Path) -> _Told:
    told = _Told()
    for serial, line in read(folder, Survey()):
        match line:
            case Finished():
                told.last[line.id] = serial
            case Kept():
                told.last.setdefault(line.id, 0)
                if line.state != "pending":
                    told.settled.add(line.id)
            case Opened():
                told.answered[line.call.id] = line.call.answered_ms is not None
            case Answered():
                told.answered[line.id] = True
            case Acknowledged():
                told.settled.update(line.ids)
            case Quarantined():
                told.settled.add(line.id)
            case Requeued():
                told.settled.difference_update(line.ids)
                told.requeued.update(dict.fromkeys(line.ids, serial))
            case Purged():
                for cdr_id in line.ids:
                    told.last.setdefault(cdr_id, 0)
    return told


def _bring_in(db: sqlite3.Connection, folder: Path, told: _Told, recovery: Recovery, damaged: Path | None) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for serial, line in read(folder, recovery.survey):
            _sum_up(told, serial, line)
            _apply(db, told, serial, line, recovery)
        if recovery.empty:
            _set_usage(db, told.usage)
            told.details.put_into(db)
        if damaged is not None:
            recovery.salvaged = salvage.take_over(db, damaged)
        elif not recovery.empty and recovery.survey.flawless and _holds_all(db, told):
            recovery.corrected += _set_usage(db, told.usage)
            if told.details.whole:
                recovery.corrected += told.details.put_into(db)
        if not told.details.whole:
            count_anew(db)
        _renew_epoch(db, set_back=recovery.lag > _ORDINARY_LAG)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _sum_up(told: _Told, serial: int, line: Line) -> None:
    if isinstance(line, Begun):
        told.details.begin(base=line.base, details=line.details)
    elif isinstance(line, Finished) and told.last[line.id] == serial:
        told.details.add(line.details)
        for addition in filter(None, (line.usage, line.taken)):
            for period in addition.periods:
                row = told.usage[period, addition.own_number, addition.currency]
                for place, more in enumerate((addition.calls, addition.seconds, addition.amount_micro)):
                    row[place] += more
    elif isinstance(line, Totals):
        told.details.state(line.details)
        for total in line.rows:
            told.usage[total.periods[0], total.own_number, total.currency] = [
                total.calls, total.seconds, total.amount_micro,
            ]  # fmt: skip


def _apply(db: sqlite3.Connection, told: _Told, serial: int, line: Line, recovery: Recovery) -> None:
    before = db.total_changes
    match line:
        case Opened():
            recovery.corrected += _open(db, line)
        case Answered():
            db.execute(
                "UPDATE open_call SET answered_ms = ?, last_alive_ms = max(last_alive_ms, ?) "
                "WHERE id = ? AND answered_ms IS NULL",
                (line.at_ms, line.at_ms, line.id),
            )
        case Finished() if told.last[line.id] == serial:
            recovery.corrected += _keep(db, line, "pending", "", None, counting=not recovery.empty)
        case Kept():
            over = line.state == "quarantined" and serial < told.requeued.get(line.id, 0)
            state, reason = ("pending", "") if over else (line.state, line.reason)
            recovery.corrected += _keep(db, line, state, reason, line.acknowledged_ms, counting=not recovery.empty)
        case Acknowledged():
            db.executemany(
                "UPDATE cdr SET state = 'acknowledged', acknowledged_ms = ? WHERE id = ? AND state = 'pending'",
                [(line.at_ms, cdr_id) for cdr_id in line.ids],
            )
        case Quarantined() if serial > told.requeued.get(line.id, 0):
            db.execute(
                "UPDATE cdr SET state = 'quarantined', reason = ? WHERE id = ? AND state = 'pending'",
                (line.reason, line.id),
            )
        case Requeued():
            db.executemany(
                "UPDATE cdr SET state = 'pending', reason = '' WHERE id = ? AND state = 'quarantined'",
                [(cdr_id,) for cdr_id in line.ids if told.requeued[cdr_id] == serial and cdr_id not in told.settled],
            )
    changed = db.total_changes > before
    match line:
        case Purged():
            _purge(db, line.ids)
        case Alive():
            db.executemany(
                "UPDATE open_call SET last_alive_ms = max(last_alive_ms, ?) WHERE id = ? AND last_alive_ms < ?",
                [(line.at_ms, call_id, line.at_ms) for call_id in line.ids],
            )
    recovery.lag += changed


def _open(db: sqlite3.Connection, line: Opened) -> int:
    """Bring an open call in; 1 where it was there with bytes that mean nothing, which are set right."""
    call = line.call
    row = db.execute("SELECT body FROM open_call WHERE id = ?", (call.id,)).fetchone()
    if row is not None:
        if is_open_call(row[0]):
            return 0
        db.execute("UPDATE open_call SET body = ? WHERE id = ?", (_encoder.encode(call), call.id))
        return 1
    if not _known(db, call.id):
        db.execute(
            "INSERT INTO open_call(id, body, answered_ms, last_alive_ms) VALUES (?, ?, ?, ?)",
            (call.id, _encoder.encode(call), call.answered_ms, call.last_alive_ms),
        )
    return 0


def _keep(
    db: sqlite3.Connection,
    line: Finished | Kept,
    state: str,
    reason: str,
    acknowledged_ms: int | None,
    *,
    counting: bool,
) -> int:
    """Bring one record in; 1 where it was there with other bytes, which are set right."""
    body = bytes(line.cdr)
    digest = hashlib.sha256(body).digest()
    db.execute("DELETE FROM open_call WHERE id = ?", (line.id,))
    row = db.execute("SELECT body, sha256, state FROM cdr WHERE id = ?", (line.id,)).fetchone()
    if row is not None:
        if row[2] == "pending" and state != "pending":
            db.execute(
                "UPDATE cdr SET state = ?, reason = ?, acknowledged_ms = ? WHERE id = ?",
                (state, reason, acknowledged_ms, line.id),
            )
        if (bytes(row[0]), bytes(row[1])) == (body, digest) or body == b"null":
            return 0
        db.execute("UPDATE cdr SET body = ?, sha256 = ? WHERE id = ?", (body, digest, line.id))
        return 1
    if _known(db, line.id):
        return 0
    db.execute(
        INSERT_RECORD,
        (line.number, line.number, line.id, body, digest, state, reason, acknowledged_ms, " ".join(line.periods)),
    )
    for addition in filter(None, (line.usage, line.taken)):
        if counting:
            db.executemany(COUNT, count_parameters(addition))
            db.execute(DROP_EMPTY)
    if counting:
        db.executemany(COUNT_DETAIL, parameters(line.details))
        db.execute(DROP_EMPTY_DETAILS)
    return 0


def _purge(db: sqlite3.Connection, ids: list[str]) -> None:
    rows = [(cdr_id,) for cdr_id in ids]
    db.executemany("DELETE FROM open_call WHERE id = ?", rows)
    db.executemany("DELETE FROM cdr WHERE id = ?", rows)
    db.executemany("INSERT INTO purged(id) VALUES (?) ON CONFLICT DO NOTHING", rows)


def _known(db: sqlite3.Connection, call_id: str) -> bool:
    sql = "SELECT 1 FROM cdr WHERE id = ? UNION ALL SELECT 1 FROM purged WHERE id = ?"
    return db.execute(sql, (call_id, call_id)).fetchone() is not None


def _set_usage(db: sqlite3.Connection, usage: dict[UsageKey, list[int]]) -> int:
    """Make the table say what the journal says; how many rows said something else."""
    db.execute(DROP_EMPTY)
    usage = {key: row for key, row in usage.items() if any(row)}
    sql = "SELECT period, own_number, currency, calls, seconds, amount_micro FROM usage"
    there = {(row[0], row[1], row[2]): list(row[3:]) for row in db.execute(sql)}
    wrong = [key for key in there.keys() | usage.keys() if there.get(key) != usage.get(key)]
    db.executemany("DELETE FROM usage WHERE period = ? AND own_number = ? AND currency = ?", wrong)
    db.executemany(
        "INSERT INTO usage(period, own_number, currency, calls, seconds, amount_micro) VALUES (?, ?, ?, ?, ?, ?)",
        [(*key, *usage[key]) for key in wrong if key in usage],
    )
    return len(wrong)


def _renew_epoch(db: sqlite3.Connection, *, set_back: bool) -> None:
    """Numbers that were given out before the database was set back may be given out again: under another epoch."""
    if set_back:
        db.execute("DELETE FROM meta WHERE key = 'epoch'")
    db.execute("INSERT INTO meta(key, value) VALUES ('epoch', lower(hex(randomblob(16)))) ON CONFLICT DO NOTHING")


def _is_empty(db: sqlite3.Connection) -> bool:
    sql = (
        "SELECT EXISTS (SELECT 1 FROM cdr) OR EXISTS (SELECT 1 FROM purged) OR EXISTS (SELECT 1 FROM usage) "
        "OR EXISTS (SELECT 1 FROM open_call)"
    )
    return not db.execute(sql).fetchone()[0]


def _holds_all(db: sqlite3.Connection, told: _Told) -> bool:
    """Whether the journal names every record that the database has, or had."""
    ids = db.execute("SELECT id FROM cdr UNION ALL SELECT id FROM purged")
    return all(row[0] in told.last for row in ids)


def _is_up_to_date(db: sqlite3.Connection, told: _Told) -> bool:
    """Whether the journal also has what is written without a sync of its own, which a power cut may take from it."""
    settled = db.execute("SELECT id FROM cdr WHERE state <> 'pending'")
    calls = db.execute("SELECT id, body, answered_ms IS NOT NULL FROM open_call")
    return all(row[0] in told.settled for row in settled) and all(
        told.answered.get(call_id, False) >= bool(answered) and call_id in told.answered
        for call_id, body, answered in calls
        if is_open_call(body)
    )
