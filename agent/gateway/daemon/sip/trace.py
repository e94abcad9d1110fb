"""The last SIP messages on the wire, taken from the library's log and kept in memory.

Credentials never get in: the value of every header that carries one is gone before a message is kept. Numbers stay in
what is kept, because a fault can seldom be found without them; whoever shows it decides.

The library reads at most 4000 bytes of a datagram and writes log lines of at most 4000 characters, its own words
included, so of a larger message the log shows the beginning only, and that is said (`cut`). An INVITE that has come,
the largest of all that do, is whole: a callback gives it again.
"""

from __future__ import annotations

import collections
import re
from typing import Final

import msgspec

from agent.gateway.sip_trace import MAX_MESSAGE, MAX_MESSAGES, Message

MAX_BYTES: Final = 256 * 1024
_LOOK_BACK: Final = 8
"""The callback follows its log line at once, but for what the library sends in between."""
_ALIKE: Final = 1000
"""Characters: request line, Via with its branch, Call-ID."""

_LINE = re.compile(
    r"(?P<way>RX|TX) \d{1,7} bytes (?:Request|Response) msg .{1,200}? (?:from|to) (?P<transport>UDP|TCP|TLS)6? "
    r"(?P<peer>[^\s]{1,80}):\r?\n(?P<text>.*)",
    re.DOTALL,
)
_END = "\n--end msg--"
_SECRET = re.compile(
    r"^(?P<name>(?:proxy-)?authorization|(?:www|proxy)-authenticate|authentication-info)[ \t]*:"
    r"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_KEY = re.compile(r"^(?P<name>a=crypto:\d+ [^ \r\n]+) inline:[^\r\n]*", re.IGNORECASE | re.MULTILINE)


class SipTrace:
    """Keeps the newest messages within `MAX_MESSAGES` and `MAX_BYTES`. For the thread that runs the library."""

    def __init__(self) -> None:
        self._messages: collections.deque[Message] = collections.deque()
        self._size = 0

    def take(self, line: str, at_ms: int) -> Message | None:
        """Keep, and return, the message that a log line of the library holds; None where it holds none."""
        message = read_line(line, at_ms)
        if message is None:
            return None
        self._messages.append(message)
        self._size += len(message.text)
        while len(self._messages) > MAX_MESSAGES or self._size > MAX_BYTES:
            self._size -= len(self._messages.popleft().text)
        return message

    def complete(self, message: str) -> None:
        """Put a received message, as a callback gives it, in the place of the beginning that the log has of it."""
        for at in range(len(self._messages) - 1, max(-1, len(self._messages) - 1 - _LOOK_BACK), -1):
            kept = self._messages[at]
            if kept.cut and not kept.sent:
                text = without_secrets(message)[:MAX_MESSAGE]
                if text.startswith(kept.text[:_ALIKE]):
                    self._messages[at] = msgspec.structs.replace(kept, text=text, cut=False)
                    self._size += len(text) - len(kept.text)
                    return

    def messages(self) -> list[Message]:
        """What is kept, oldest first."""
        return list(self._messages)


def read_line(line: str, at_ms: int) -> Message | None:
    """The SIP message in one log line of the library, without its credentials; None where there is none."""
    found = _LINE.search(line)
    if found is None:
        return None
    text, end, _ = found["text"].partition(_END)
    return Message(
        at_ms=at_ms, sent=found["way"] == "TX", transport=found["transport"], peer=found["peer"],
        text=without_secrets(text)[:MAX_MESSAGE], cut=not end,
    )  # fmt: skip


def without_secrets(text: str) -> str:
    """A message without credentials (RFC 3261 §20.7, §20.28) and media keys (RFC 4568)."""
    text = _SECRET.sub(lambda found: f"{found['name']}: (removed)", text)
    return _KEY.sub(lambda found: f"{found['name']} inline:(removed)", text)
