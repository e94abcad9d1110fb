"""The agent's logging: one line an event, JSON for the journal or text on a terminal, and nothing private in it.

Two guards stand before every line, also those of libraries: what looks like a full telephone number is masked, and
what is named like a secret is dropped. They are the last fence, not the first: callers mask what they log.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from agent.clock import wall
from agent.core.numbers import mask

_SECRET_KEY = re.compile(r"passw|secret|authorization|credential|cookie|token|^ha1$", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"""(?P<name>(?:proxy-)?authorization|passw(?:or)?d|secret|token)(?P<quote>["']?)(?P<sep>\s*[:=]\s*)[^\r\n,;&]+""",
    re.IGNORECASE,
)
_IDENTIFIER = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?<![0-9a-fA-F])[0-9a-f]{32,}"
_YEAR, _MONTH, _DAY = r"(?:19|20)[0-9]{2}", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12][0-9]|3[01])"
_DATE = rf"{_YEAR}(?:-{_MONTH}-{_DAY}|\.{_MONTH}\.{_DAY})(?![0-9]|[-.][0-9])"
_TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]{1,9})?)?(?:[+-][0-9]{2}:[0-9]{2})?(?![0-9]|[-.:][0-9])"
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"(?![2-9][0-9](?:\.[0-9]{{2}}){{3}}(?![0-9])){_OCTET}(?:\.{_OCTET}){{3}}(?![0-9]|\.[0-9])"
"""A dotted IPv4 address. Four pairs of which the first could begin a Norwegian number (22.33.44.55) are not taken for
one: an address hidden by mistake costs less than a number shown by mistake."""
_VERSION = r"(?:[0-9]\.[0-9]{1,2}|[0-9]{1,2}\.[0-9])\.[0-9]{1,5}(?:[-.][0-9]{1,5})?(?![0-9]|[-.][0-9])"
"""Told from a number by a part of one digit, which nobody writes a number with."""
_KEPT = (
    rf"{_IDENTIFIER}|(?<![0-9+])(?:{_DATE}|{_TIME})|(?<![0-9+.-])(?:{_ADDRESS}|{_VERSION})"
    r"|(?<![0-9A-Za-z])v[0-9]+(?:\.[0-9]+)+"
)
_GAP = r"[ \u00a0\u2009\u202f\u2010-\u2013().-]"
"""The visual separators of RFC 3966 section 5.1.1, and blanks and dashes as they are typeset."""
_NUMBER_OR_KEPT = re.compile(rf"(?P<kept>{_KEPT})|\+?[0-9](?:[0-9]|{_GAP}{{1,3}}(?!{_DATE}|{_IDENTIFIER})[0-9]){{6,}}")
_GAPS = re.compile(_GAP)
_MAX_DEPTH: Final = 6
_MAX_TEXT: Final = 4096
HIDDEN: Final = "[hidden]"


def scrub(text: str) -> str:
    """`text` with every run of 7 or more digits masked as a telephone number, and named secrets hidden.

    Digits may be set apart as in RFC 3966 (`22-33-44-55`, `(22) 33.44.55`). UUIDs and long hexadecimal digests are left
    whole, since calls are found by them; so are ISO 8601 dates and times, dotted IPv4 addresses and versions.
    """
    text = _SECRET_TEXT.sub(lambda found: f"{found['name']}{found['quote']}{found['sep']}{HIDDEN}", text)
    return _NUMBER_OR_KEPT.sub(_masked, text)


def configure(level: str = "info", fmt: str = "auto", stream: TextIO | None = None) -> None:
    """Send structlog's events from `level` up, and warnings of libraries, to `stream` (default: standard error).

    `fmt` is `json`, `text`, or `auto`: text where the stream is a terminal. Raises ValueError for other words.
    """
    stream = sys.stderr if stream is None else stream
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise ValueError(f"log level {level!r}: it must be debug, info, warning or error")
    if fmt not in {"auto", "json", "text"}:
        raise ValueError(f"log format {fmt!r}: it must be auto, json or text")
    text = fmt == "text" or (fmt == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        guard,
        _add_time,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=stream.isatty()) if text else _render_json
    structlog.configure(
        processors=[_add_name, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(levels[level.upper()]),
        logger_factory=lambda *names: _Line(stream, str(names[0]) if names else ""),
        # A logger that was used keeps its level and its form otherwise, and a reload would change neither.
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, levels[level.upper()]))
    logging.captureWarnings(capture=True)


def guard(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: mask numbers in every text of the event, drop everything named like a secret.

    Whole numbers of type int are times and counts here, never telephone numbers, and stay.
    """
    return _guarded_mapping(event, 0)


def _guarded_mapping(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        scrub(str(key)): _guarded(value, depth + 1) for key, value in values.items() if not _SECRET_KEY.search(str(key))
    }


def _guarded(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return scrub(value[:_MAX_TEXT])
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            return _guarded_mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return [_guarded(item, depth + 1) for item in value]
        if isinstance(value, msgspec.Struct):
            return _guarded_mapping(msgspec.structs.asdict(value), depth)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return scrub(str(value)[:_MAX_TEXT])


def _masked(found: re.Match[str]) -> str:
    return found["kept"] or mask(_GAPS.sub("", found.group()))


def _add_name(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    if logger.name:
        event["logger"] = logger.name
    return event


def _add_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["timestamp"] = wall().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _render_json(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    ordered = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return msgspec.json.encode({**ordered, **event}, enc_hook=str).decode()


class _Line:
    """What structlog writes to: whole lines, and a closed stream never stops the agent."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self.name = stream, name

    def msg(self, line: str) -> None:
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The journal is away (EPIPE) or the stream is closed: calls matter more than their log.
            return

    debug = info = warning = error = critical = exception = fatal = warn = log = msg


class _Handler(logging.StreamHandler[TextIO]):
    """Standard logging to the same stream, as quiet about a lost stream as `_Line`."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is the standard library's
        del record
