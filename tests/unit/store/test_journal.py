"""The journal's segments: bounded, complete, and readable after whatever the card did."""

import errno
import os

import msgspec
import pytest

from agent.store import StoreError, StoreFull
from agent.store import journal as journal_module
from agent.store.journal import Journal, Survey, read, segments
from agent.store.lines import Alive, Based, Finished, pack


def alive(number):
    return Alive(ids=[], at_ms=number)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def begun(folder):
    journal = Journal(folder)
    journal.begin_segment(base=True)
    journal.append([Based()], durable=True)
    return journal


def numbers(folder):
    survey = Survey()
    return [line.at_ms for _, line in read(folder, survey) if isinstance(line, Alive)], survey


def test_what_is_appended_is_read_in_order(folder):
    journal = begun(folder)
    for number in range(20):
        journal.append([alive(number)], durable=number % 2 == 0)
    found, survey = numbers(folder)
    assert found == list(range(20))
    assert survey.flawless
    assert (survey.lines, survey.last_serial) == (22, 22)
    assert survey.size == journal.size == sum(path.stat().st_size for path in segments(folder))


def test_segments_are_bounded_and_follow_each_other_without_a_gap(folder, monkeypatch):
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 500)
    journal = begun(folder)
    for number in range(100):
        journal.append([alive(number)], durable=False)
    found, survey = numbers(folder)
    assert found == list(range(100))
    assert survey.flawless
    assert len(segments(folder)) > 5
    assert max(path.stat().st_size for path in segments(folder)) < 600
    assert {path.stat().st_mode & 0o777 for path in segments(folder)} == {0o600}


def test_a_torn_last_line_is_normal_and_the_journal_goes_on_behind_it(folder):
    begun(folder).append([alive(1), alive(2)], durable=True)
    (path,) = segments(folder)
    os.truncate(path, path.stat().st_size - 5)
    found, survey = numbers(folder)
    assert (found, survey.torn, survey.flawless) == ([1], True, True)
    journal = Journal(folder, survey.last_serial, size=survey.size)
    journal.append([alive(3)], durable=True)
    found, survey = numbers(folder)
    assert (found, survey.torn, survey.flawless) == ([1, 3], False, True)


@pytest.mark.parametrize("harm", [b"\0" * 10, b"\xff" * 3, b"\n"])
def test_a_bad_line_in_the_middle_is_skipped_counted_and_told(folder, harm, capsys):
    begun(folder).append([alive(number) for number in range(10)], durable=True)
    (path,) = segments(folder)
    raw = bytearray(path.read_bytes())
    place = raw.index(pack(7, alive(4))) + 3
    raw[place : place + len(harm)] = harm
    path.write_bytes(raw)
    found, survey = numbers(folder)
    assert found == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert survey.bad >= 1
    assert survey.lost == 1
    assert not survey.flawless


def test_a_whole_segment_that_is_gone_is_noticed_by_its_serials(folder, monkeypatch):
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 200)
    journal = begun(folder)
    for number in range(40):
        journal.append([alive(number)], durable=False)
    segments(folder)[2].unlink()
    found, survey = numbers(folder)
    assert survey.lost > 0
    assert len(found) < 40
    assert not survey.flawless
    segments(folder)[0].unlink()
    assert not numbers(folder)[1].whole


def test_a_journal_without_line_feeds_is_read_in_bounded_pieces(folder):
    begun(folder)
    (path,) = segments(folder)
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + (5 << 20))
    _, survey = numbers(folder)
    assert survey.bad == 5 or survey.torn


def test_a_full_disk_leaves_no_half_line(folder, monkeypatch):
    journal = begun(folder)
    real = os.write
    calls = []

    def full(descriptor, data):
        calls.append(len(data))
        if len(calls) == 1:
            return real(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreFull, match="the disk is full"):
            journal.append([alive(1)], durable=True)
    journal.append([alive(2)], durable=True)
    found, survey = numbers(folder)
    assert (found, survey.flawless) == ([2], True)


def test_after_a_failed_sync_the_file_is_never_trusted_again(folder, monkeypatch):
    journal = begun(folder)

    def failing(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(StoreError, match="sync the journal"):
            journal.append([alive(1)], durable=True)
    journal.append([alive(1)], durable=True)
    assert len(segments(folder)) == 2
    assert numbers(folder)[0] == [1, 1]


def test_a_record_that_the_database_keeps_refusing_is_written_once(folder):
    journal = begun(folder)
    record = Finished(id="a", cdr=msgspec.Raw(b"{}"), periods=[])
    for _ in range(50):
        journal.append([record], durable=True)
    assert journal.unconfirmed
    _, survey = numbers(folder)
    assert survey.lines == 3
    journal.confirm([record])
    assert not journal.unconfirmed


def test_what_must_last_is_synced_before_the_call_returns_and_the_rest_is_not(folder, monkeypatch):
    journal = begun(folder)
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(descriptor) or real(descriptor))
    journal.append([alive(1)], durable=False)
    assert synced == []
    journal.append([alive(2)], durable=True)
    assert len(synced) == 1
