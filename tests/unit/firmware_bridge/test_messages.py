"""The message table: fixed ids and layouts, bounds on every length, errors that name the field."""

import contextlib
import enum
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.vocabulary import AudioCodec, Kind


def values_of(hint):
    """Values a field of this type may have, small enough to fit any layout."""
    if typing.get_origin(hint) is typing.Annotated:
        base, codec = typing.get_args(hint)[:2]
        if base is int:
            low, high = (-100, 100) if codec.text.startswith("i") else (0, 200)
            return st.integers(low, high)
        if base is str:
            return st.text("AZ09", max_size=1 if "<=1" in codec.text and len(codec.text) == 7 else 2)
        if base is bytes:
            return st.binary(max_size=20)
        return values_of(base) if typing.get_origin(base) is not tuple else st.lists(
            values_of(typing.get_args(base)[0]), max_size=2
        ).map(tuple)  # fmt: skip
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return instances(hint)
    return {int: st.integers(0, 200), bool: st.booleans()}[hint]


def instances(record):
    hints = typing.get_type_hints(record, include_extras=True)
    return st.builds(record, **{name: values_of(hints[name]) for name in record.__struct_fields__})


@pytest.mark.parametrize("spec", m.TABLE, ids=lambda spec: spec.name)
@given(data=st.data())
def test_every_message_comes_back_as_it_was_sent(spec, data):
    message = data.draw(instances(spec.record))
    packed = m.pack(message)
    assert m.parse(spec, packed) == message
    if "rest<=" not in spec.layout.text:
        assert m.parse(spec, packed + b"a later field") == message


@pytest.mark.parametrize("spec", m.TABLE, ids=lambda spec: spec.name)
@given(payload=st.binary(max_size=300))
def test_no_payload_raises_anything_but_a_message_error(spec, payload):
    with contextlib.suppress(m.MessageError):
        assert isinstance(m.parse(spec, payload), spec.record)


def test_the_table_is_the_one_that_firmware_was_built_with():
    assert m.SCHEMA_HASH == 0x3F5C1BA7, m.SCHEMA_TEXT


def test_ids_of_the_catalogue():
    ids = {spec.name: (spec.kind, spec.id) for spec in m.TABLE}
    assert ids["Hello"] == (Kind.LINK, 0x01)
    assert ids["RingStart"] == (Kind.CMD, 0x21)
    assert ids["HookEvent"] == (Kind.EVT, 0x40)
    assert ids["AudioRx"] == (Kind.AUDIO, 0x62)
    assert ids["Led"] == (Kind.CMD, 0x30)
    assert ids["ButtonEvent"] == (Kind.EVT, 0x4C)


def test_golden_payloads():
    tone = m.ToneStart(m.ToneProgram(-10, (m.ToneSegment((425,), 200), m.ToneSegment((), 200)), once=False), 5000)
    assert m.pack(tone).hex() == "f60201a901c80000c8000088130000"
    assert m.pack(m.AudioStart(codec=AudioCodec.PCMA)).hex() == "080a020103"
    assert m.pack(m.HookEvent(1_000_000, off_hook=True)).hex() == "40420f00000000000100"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (m.RingStart((1,) * 9), "RingStart.cadence_ms"), (m.RingStart((-1,)), "RingStart.cadence_ms"),
        (m.RingStart((1000, 4000), caller="x" * 33), "RingStart.caller"), (m.SetBaud(1 << 32), "SetBaud.baud"),
        (m.CidSend(0, 0, bytes(201)), "CidSend.message"), (m.SetVmwi(9), "SetVmwi.mode"),
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_refused_by_name(message, field):
    with pytest.raises(m.MessageError, match=field):
        m.pack(message)


@pytest.mark.parametrize(
    ("kind", "ident", "payload", "sentence"),
    [
        (Kind.CMD, 0x21, "09", "RingStart.cadence_ms: 9 elements"),
        (Kind.CMD, 0x28, "09", "is 9, which is no VmwiMode"),
        (Kind.EVT, 0x40, "00000000000000000200", "HookEvent.off_hook: byte 8 is 2"),
        (Kind.EVT, 0x42, "000000000000000001ff00", "DigitEvent.digit: text at byte 8 is not UTF-8"),
        (Kind.CMD, 0x05, "01", "message ends at byte 1, u32 needs 4"),
    ],
)  # fmt: skip
def test_a_wrong_payload_is_told_by_field_and_byte(kind, ident, payload, sentence):
    with pytest.raises(m.MessageError, match=sentence):
        m.parse(m.find_spec(kind, ident), bytes.fromhex(payload))


def test_what_is_not_in_the_table_is_not_sent():
    with pytest.raises(m.MessageError, match="ToneProgram is not in the message table"):
        m.pack(m.ToneProgram(-10, ()))
