"""What a mailbox tells of its messages: `application/simple-message-summary` (RFC 3842 §5.2), read from a NOTIFY."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

MAX_BODY: Final = 4096
MAX_COUNT: Final = 9_999
_KIND: Final = re.compile(r"^(?:Content-Type|c)[ \t]*:[ \t]*application/simple-message-summary[ \t]*(?:;|$)",
                          re.IGNORECASE | re.MULTILINE)  # fmt: skip
_WAITING: Final = re.compile(r"^Messages-Waiting[ \t]*:[ \t]*(yes|no)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_VOICE: Final = re.compile(r"^Voice-Message[ \t]*:[ \t]*([0-9]{1,10})[ \t]*/[ \t]*([0-9]{1,10})",
                           re.IGNORECASE | re.MULTILINE)  # fmt: skip


class Summary(Struct, frozen=True):
    """New and old voice messages, at most MAX_COUNT of each; where only `yes` was said, one new message."""

    new: int
    old: int


def parse_summary(message: str) -> Summary | None:
    """The summary that a NOTIFY carries; None where it carries none that can be understood."""
    head, _, body = message.replace("\r\n", "\n").partition("\n\n")
    if _KIND.search(head) is None:
        return None
    body = body[:MAX_BODY]
    waiting, voice = _WAITING.search(body), _VOICE.search(body)
    if voice is not None:
        return Summary(min(int(voice[1]), MAX_COUNT), min(int(voice[2]), MAX_COUNT))
    if waiting is None:
        return None
    return Summary(1 if waiting[1].lower() == "yes" else 0, 0)
