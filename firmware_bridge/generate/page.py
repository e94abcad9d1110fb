"""docs/line-card-protocol.md: all that the author of a firmware needs, in one page."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path

from firmware_bridge import framing, image, link, rates, reliable, session, terms, vocabulary
from firmware_bridge import messages as m
from firmware_bridge.card_events import ADAPTER_LAMP
from firmware_bridge.framing import Frame, encode_frame
from firmware_bridge.generate.table import REPLY, bounds, constant, enumerations, layouts, sentence, size, unit
from firmware_bridge.schema import Spec
from firmware_bridge.simulator.card import STATUS_MS
from firmware_bridge.simulator.player import PLAYOUT_LIMIT
from firmware_bridge.vocabulary import Capability, Direction, Kind
from firmware_bridge.wire import Blob, Choice, Codec, Flag, Layout, Many, Rest, Scalar, Text

_TEMPLATE = Path(__file__).with_name("line-card-protocol.md.in")
_WAY = {Direction.TO_CARD: "host → card", Direction.TO_HOST: "card → host", Direction.BOTH: "both ways"}
_KINDS = {
    Kind.LINK: ("keeps the two ends together", "at most once"),
    Kind.CMD: ("the host orders", "exactly once, in order"),
    Kind.RSP: ("the card answers a command; `id` is the command's", "exactly once, in order"),
    Kind.EVT: ("the card tells", "exactly once, in order"),
    Kind.AUDIO: ("speech", "at most once"),
    Kind.LOG: ("the card's log", "at most once"),
}
_TIMES = (
    ("a card without a session cries", session.CRY_MS),
    ("the same to one who speaks to it, at most", session.CRY_MIN_MS),
    ("HELLO, until it is answered", session.HELLO_MS), ("HELLO, after a refusal", session.HELLO_REFUSED_MS),
    ("PING, at most", link.HEARTBEAT_MS), ("PING, while the rate is not settled", session.SETTLING_PING_MS),
    ("LINE_STATUS of every line", STATUS_MS),
    ("silence that ends a session, and the lease at its start", link.SILENCE_MS),
    ("lease, at least", terms.LEASE_MIN_MS), ("lease, at most", terms.LEASE_MAX_MS),
    ("first repetition, before a round trip was measured", reliable.RTO_FIRST_MS),
    ("repetition, at least", reliable.RTO_MIN_MS), ("repetition, at most", reliable.RTO_MAX_MS),
    ("answer to a command", link.REPLY_TIMEOUT_MS), ("first good frame at a new rate", rates.CONFIRM_MS),
    ("new firmware on trial", vocabulary.TRIAL_MS),
)  # fmt: skip


def _type(codec: Codec) -> str:
    match codec:
        case Scalar():
            return codec.text
        case Flag():
            return "bool"
        case Choice():
            return f"[{codec.members.__name__}](#{codec.members.__name__.lower()})"
        case Text():
            return f"text <= {codec.limit}"
        case Blob():
            return f"bytes <= {codec.limit}"
        case Rest():
            return f"rest <= {codec.limit}"
        case Many():
            return f"list of {_type(codec.element)} <= {codec.limit}"
        case Layout():
            return f"[{codec.name}](#{codec.name.lower()})"
        case _:
            raise TypeError(codec.text)


def _range(codec: Codec) -> str:
    element = codec.element if isinstance(codec, Many) else codec
    if not isinstance(element, Scalar):
        return ""
    low, high = bounds(element)
    return f"{low} to {high}"


def _fields(layout: Layout) -> Iterator[str]:
    if not layout.fields:
        yield "No fields."
        return
    yield "| field | type | range | unit |"
    yield "|---|---|---|---|"
    for name, codec in layout.fields:
        yield f"| `{name}` | {_type(codec)} | {_range(codec)} | {unit(name)} |"


def _length(layout: Layout) -> str:
    low, high = size(layout)
    return f"{low} bytes" if low == high else f"{low} to {min(high, m.MAX_PAYLOAD)} bytes"


def _message(spec: Spec) -> Iterator[str]:
    yield f"#### {constant(spec.name)} (0x{spec.id:02X}), {_WAY[spec.direction]}"
    yield ""
    result = "" if spec.result is None else f" The result is a [{spec.result.name}](#{spec.result.name.lower()})."
    yield f"{sentence(spec.record)}{result} {_length(spec.layout)}.".replace(" 0 bytes.", "")
    yield ""
    yield from _fields(spec.layout)
    yield ""


def _messages() -> Iterator[str]:
    for kind in Kind:
        specs = [spec for spec in m.TABLE if spec.kind is kind]
        if specs:
            yield f"### {kind.name}"
            yield ""
            for spec in specs:
                yield from _message(spec)
    yield "### Records in messages and results"
    yield ""
    messages = {spec.record for spec in m.TABLE} | {m.Reply}
    for layout in layouts():
        if layout.record not in messages:
            yield f"#### {layout.name}"
            yield ""
            yield f"{sentence(layout.record)} {_length(layout)}."
            yield ""
            yield from _fields(layout)
            yield ""


def _enumerations() -> Iterator[str]:
    for members in enumerations():
        yield f"### {members.__name__}"
        yield ""
        yield sentence(members)
        yield ""
        yield ", ".join(f"{member.value} {member.name}" for member in members) + "."
        yield ""


def _rows(head: str, rows: Iterator[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *rows])


def page() -> str:
    """The text of the file."""
    ack = encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 0, b""))
    body = framing.unstuff(ack[:-1])
    assert body is not None, "the framing undoes what it does"
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        major=m.PROTOCOL_MAJOR, minor=m.PROTOCOL_MINOR, schema=f"{m.SCHEMA_HASH:08x}", max_lines=m.MAX_LINES,
        max_payload=m.MAX_PAYLOAD, max_body=framing.MAX_BODY, max_encoded=framing.MAX_ENCODED,
        base_rate=rates.BASE_RATE, ack_body=body.hex(" "), ack_wire=ack.hex(" "), window=reliable.WINDOW,
        rto_min=reliable.RTO_MIN_MS, rto_max=reliable.RTO_MAX_MS, rto_first=reliable.RTO_FIRST_MS,
        max_sends=reliable.MAX_SENDS, reply_timeout=link.REPLY_TIMEOUT_MS, cry=session.CRY_MS,
        cry_min=session.CRY_MIN_MS, hello=session.HELLO_MS, hello_refused=session.HELLO_REFUSED_MS,
        heartbeat=link.HEARTBEAT_MS, silence=link.SILENCE_MS, lease_min=terms.LEASE_MIN_MS,
        lease_max=terms.LEASE_MAX_MS, status_ms=STATUS_MS, confirm=rates.CONFIRM_MS, audio_bytes=m.AUDIO_BYTES,
        playout_limit=PLAYOUT_LIMIT, adapter_lamp=ADAPTER_LAMP, trial_ms=vocabulary.TRIAL_MS,
        audio_turn=link.AUDIO_TURN, audio_queue=link.AUDIO_QUEUE, image_format=image.FORMAT, product=image.PRODUCT,
        capabilities=", ".join(bit.name or "" for bit in Capability),
        kinds=_rows("| kind | name | for | delivered |", (
            f"| {kind.value} | {kind.name} | {meaning} | {how} |" for kind, (meaning, how) in _KINDS.items()
        )),
        reply="\n".join(_fields(REPLY)),
        times=_rows("| what | ms |", (f"| {what} | {ms} |" for what, ms in _TIMES)),
        messages="\n".join(_messages()).rstrip(), enumerations="\n".join(_enumerations()).rstrip(),
    )  # fmt: skip
