"""Alert-Info of an INVITE (RFC 3261 §20.4, RFC 7462): the words by which it asks for a ringing."""

from __future__ import annotations

import re
from typing import Final

from agent.core.foreign_text import one_line
from agent.gateway.daemon.sip.headers import values

MAX_WORDS: Final = 8
MAX_WORD: Final = 128
_VALUE: Final = re.compile(r"\s*(?:<([^<>]*)>|([^;,<>]*))((?:\s*;[^,;]*)*)")
_INFO: Final = re.compile(r";\s*info\s*=\s*\"?([^\";]*)", re.IGNORECASE)


def alert_words(message: str) -> tuple[str, ...]:
    """The words, the surest first: each URI whole, the end of its path (`.../Bellcore-dr2`), and `info=`."""
    found: list[str] = []
    for value in values(message, "Alert-Info"):
        match = _VALUE.match(value)
        if match is not None:
            uri = (match[1] or match[2] or "").strip()
            info = _INFO.search(match[3] or "")
            found += [uri, uri.rpartition("/")[2], info[1].strip() if info else ""]
    words = (one_line(word, MAX_WORD).strip().lower() for word in found)
    return tuple(dict.fromkeys(word for word in words if word))[:MAX_WORDS]
