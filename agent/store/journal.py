"""The append-only journal beside the database: a second copy of every record, in segments of bounded size.

A line is written, and synced where it must last, before the database commits the same transaction. So a database that
is damaged, lost or set back by a lying card is made anew from here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec import Struct

from agent.files import sync_folder
from agent.store.errors import disk_error
from agent.store.lines import MAX_LINE, Based, Begun, Finished, Line, LineError, UnknownLineError, pack, unpack

SEGMENT = "journal-{:012d}.jsonl"
SEGMENT_BYTES = 4 << 20
"""A segment that has grown beyond this is followed by a new one."""

_GLOB = "journal-*.jsonl"
_log = structlog.get_logger(__name__)


class Survey(Struct):
    """What was found while a journal was read; complete when the reading is."""

    lines: int = 0
    bad: int = 0
    """Lines that were no lines: cut, zeroed, overwritten."""
    lost: int = 0
    """Serials that never came."""
    unknown: int = 0
    """Sound lines of a newer version."""
    torn: bool = False
    """The very last line has no end: the power failed while it was written."""
    whole: bool = False
    """It begins with a base, so nothing that it should hold lies outside."""
    last_serial: int = 0
    last_path: Path | None = None
    last_base: Path | None = None
    """Segment in which the newest finished base begins."""
    size: int = 0
    first_flaw: str = ""
    """Where reading first failed, and why."""

    def note(self, path: Path, what: str) -> None:
        """Remember the first flaw; there may be thousands."""
        self.first_flaw = self.first_flaw or f"{path.name}, after line {self.last_serial}: {what[:200]}"

    @property
    def flawless(self) -> bool:
        """Whether every line that was ever written is there and understood; a torn last one was never promised."""
        return self.whole and self.last_base is not None and not (self.bad or self.lost or self.unknown)


def segments(folder: Path) -> list[Path]:
    """The segments of a journal, oldest first."""
    return sorted(path for path in folder.glob(_GLOB) if path.is_file())


def last_named(folder: Path) -> int:
    """The highest serial in the name of a segment, 0 where there is none."""
    prefix, suffix = SEGMENT.split("{:012d}")
    names = (path.name.removeprefix(prefix).removesuffix(suffix) for path in segments(folder))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def read(folder: Path, survey: Survey) -> Iterator[tuple[int, Line]]:
    """Every sound line, in order, in bounded memory; `survey` counts the others and notes the first of them."""
    reader = _Reader(survey)
    for path in segments(folder):
        try:
            yield from reader.segment(path)
        except OSError as error:
            # An unreadable sector ends this segment; the serials tell how many lines lay behind it.
            survey.note(path, error.strerror or str(error))
            survey.bad += 1


class _Reader:
    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._base_begun: Path | None = None

    def segment(self, path: Path) -> Iterator[tuple[int, Line]]:
        survey = self._survey
        survey.torn = False
        survey.last_path = path
        with path.open("rb") as file:
            survey.size += os.fstat(file.fileno()).st_size
            while packed := file.readline(MAX_LINE):
                try:
                    serial, line = unpack(packed)
                except UnknownLineError as error:
                    survey.note(path, str(error))
                    survey.unknown += 1
                    survey.last_serial += 1
                    continue
                except LineError as error:
                    if packed.endswith(b"\n") or len(packed) == MAX_LINE:
                        survey.note(path, str(error))
                        survey.bad += 1
                    else:
                        survey.torn = True
                    continue
                if survey.lines and serial <= survey.last_serial:
                    survey.note(path, f"line {serial} came a second time")
                    survey.bad += 1
                    continue
                self._place(path, serial, line)
                yield serial, line

    def _place(self, path: Path, serial: int, line: Line) -> None:
        survey = self._survey
        if survey.lines:
            survey.lost += serial - survey.last_serial - 1
        else:
            survey.whole = isinstance(line, Begun) and line.base
        if isinstance(line, Begun) and line.base:
            self._base_begun = path
        elif isinstance(line, Based) and self._base_begun is not None:
            survey.last_base = self._base_begun
        survey.lines += 1
        survey.last_serial = serial


class Journal:
    """The end of the journal that grows. `size` counts the bytes of all its segments.

    One writer at a time is the database's affair; the lock only keeps a thread that nobody waits for any more, in a
    process that ends, from writing into a file that is being closed.
    """

    def __init__(self, folder: Path, last_serial: int = 0, *, size: int = 0, resume: Path | None = None) -> None:
        """Goes on after `last_serial`; in the segment `resume`, which must end with a whole line, or in a new one."""
        self._folder = folder
        self._serial = last_serial
        self._descriptor = -1
        self._segment_bytes = 0
        self._unsynced = False
        self._unconfirmed: dict[str, Line] = {}
        self._guard = threading.RLock()
        self.size = size
        if resume is not None:
            with _our_errors("open the journal"):
                self._descriptor = os.open(resume, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
                self._segment_bytes = os.fstat(self._descriptor).st_size

    @property
    def last_serial(self) -> int:
        """Serial of the newest line."""
        return self._serial

    @property
    def unconfirmed(self) -> bool:
        """Whether it holds records that the database has refused since."""
        return bool(self._unconfirmed)

    def append(self, lines: Sequence[Line], *, durable: bool) -> None:
        """Write whole lines, on disk when this returns if `durable`. Raises StoreFull, StoreError.

        A record that was written before and is not confirmed yet is not written again. A line that is longer than a
        reader would take is left out: the database alone has it then.
        """
        with self._guard:
            fresh = [line for line in lines if not self._waits(line)]
            if fresh:
                self._write(fresh)
            for line in fresh:
                if isinstance(line, Finished):
                    self._unconfirmed[line.id] = line
            if durable and self._unsynced:
                self.sync()

    def confirm(self, lines: Sequence[Line]) -> None:
        """The database has committed what these lines say."""
        for line in lines:
            if isinstance(line, Finished):
                self._unconfirmed.pop(line.id, None)

    def begin_segment(self, *, base: bool = False) -> Path:
        """Go on in a new segment, whose name is its first serial. Raises StoreFull, StoreError."""
        if self._descriptor >= 0 and self._unsynced:
            # What follows may be synced alone; what came before it must then be on disk, too.
            self.sync()
        self.close()
        path = self._folder / SEGMENT.format(self._serial + 1)
        with _our_errors("begin a segment of the journal"):
            # A file of this name can only hold a first line that was torn.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(path, flags, 0o600)
            sync_folder(self._folder)
        self._segment_bytes = 0
        self._write_packed([Begun(base=base, details=base)])
        return path

    def sync(self) -> None:
        """Bring to disk what was written. Raises StoreError."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            # The kernel has dropped the pages and would report success next time (fsync(2)): never trust this file.
            self.close()
            raise disk_error(error, "sync the journal") from error
        self._unsynced = False

    def drop_before(self, first: Path) -> None:
        """Delete the segments older than `first`. Raises StoreError."""
        with _our_errors("delete old segments of the journal"):
            for path in segments(self._folder):
                if path.name < first.name:
                    size = path.stat().st_size
                    path.unlink()
                    self.size -= size
            sync_folder(self._folder)

    def take_back(self, last_serial: int) -> None:
        """Delete the segments that were begun after `last_serial`: a base that could not be finished. Never raises.

        Where they can't be deleted they stay, and tell nothing that the others don't.
        """
        self.close()
        first = SEGMENT.format(last_serial + 1)
        with suppress(OSError):
            for path in reversed(segments(self._folder)):
                if path.name >= first:
                    size = path.stat().st_size
                    path.unlink()
                    self.size -= size
            self._serial = last_serial

    def close(self) -> None:
        """Close the segment; the next line begins another one."""
        with self._guard:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)

    def _waits(self, line: Line) -> bool:
        return isinstance(line, Finished) and self._unconfirmed.get(line.id) == line

    def _write(self, lines: Sequence[Line]) -> None:
        if self._descriptor < 0 or self._segment_bytes > SEGMENT_BYTES:
            self.begin_segment()
        self._write_packed(lines)

    def _write_packed(self, lines: Sequence[Line]) -> None:
        packed, serial = b"", self._serial
        for line in lines:
            try:
                packed += pack(serial + 1, line)
            except LineError as error:
                _log.critical("journal_line_left_out", detail=str(error))
            else:
                serial += 1
        written = 0
        try:
            while written < len(packed):
                written += os.write(self._descriptor, packed[written:])
        except OSError as error:
            self._undo_part(written)
            raise disk_error(error, "write the journal") from error
        self._serial = serial
        self._segment_bytes += written
        self.size += written
        self._unsynced = True

    def _undo_part(self, written: int) -> None:
        if written:
            try:
                os.ftruncate(self._descriptor, self._segment_bytes)
            except OSError:
                # The torn line stays at the end of its segment, where a reader passes it by.
                self.close()


class _our_errors:  # noqa: N801 - reads like a statement
    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise disk_error(error, self._doing) from error
