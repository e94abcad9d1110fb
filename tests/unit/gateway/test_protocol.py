"""The records that cross the socket: what is sent is what arrives, and nothing else gets through."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.terms import CallKind, CallPhase, Cause, Direction
from agent.gateway import protocol

CALL = protocol.CallState(
    call_id="0192f0c1-0000-7000-8000-000000000001", direction=Direction.OUTGOING, kind=CallKind.ORDINARY,
    phase=CallPhase.ENDED, line=1, number="+4681234567", asked_ms=5, ended_ms=9, cause=Cause.NORMAL,
)  # fmt: skip


@pytest.mark.parametrize(
    "record", [CALL, protocol.CardState(up=True, lines=2), protocol.Log(level="info", event="x", at_ms=1)]
)
def test_gateway_records_survive_the_socket(record: protocol.GatewayRecord) -> None:
    assert protocol.decode_gateway_record(protocol.encode(record)) == record


def test_agent_records_survive_the_socket() -> None:
    decide = protocol.Decide(call_id="a", granted=True, until_ms=12, warn_at_ms=10)
    assert protocol.decode_agent_record(protocol.encode(decide)) == decide


def test_the_wrong_direction_is_refused() -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_agent_record(protocol.encode(CALL))


def test_an_unknown_field_is_named() -> None:
    packet = msgspec.json.encode({"type": "release", "call_id": "a", "colour": "red"})
    with pytest.raises(protocol.ProtocolError, match="colour"):
        protocol.decode_agent_record(packet)


def test_a_length_out_of_bounds_is_refused() -> None:
    packet = msgspec.json.encode({"type": "release", "call_id": "a" * 129})
    with pytest.raises(protocol.ProtocolError, match="128"):
        protocol.decode_agent_record(packet)


def test_a_range_that_is_none_is_named(configuration: protocol.Configure) -> None:
    packet = protocol.encode(
        msgspec.structs.replace(configuration, signalling_ranges=["192.0.2.0/24", "2001:db8::/32"])
    )
    assert isinstance(protocol.decode_agent_record(packet), protocol.Configure)
    with pytest.raises(protocol.ProtocolError, match=r"'0\.0\.0\.0/24' is no range that anybody sends from"):
        protocol.decode_agent_record(packet.replace(b"192.0.2.0/24", b"0.0.0.0/24"))
    with pytest.raises(protocol.ProtocolError, match="length <= 32"):
        protocol.decode_agent_record(packet.replace(b'"192.0.2.0/24"', b",".join([b'"192.0.2.0/24"'] * 32)))


def test_a_stun_server_that_is_none_is_named(configuration: protocol.Configure) -> None:
    packet = protocol.encode(msgspec.structs.replace(configuration, stun_server="192.0.2.1:3478"))
    assert isinstance(protocol.decode_agent_record(packet), protocol.Configure)
    with pytest.raises(protocol.ProtocolError, match=r"stun_server '192\.0\.2\.1:0' has port 0"):
        protocol.decode_agent_record(packet.replace(b"192.0.2.1:3478", b"192.0.2.1:0"))


def test_a_record_larger_than_a_packet_is_not_sent() -> None:
    huge = protocol.Configure(
        revision="1", accounts=[], lines=[], routes=[], ring_cadence_ms=[1000, 4000],
        digit_map=protocol.DigitMap(patterns=["x" * 120] * 1000, emergency=["112"]), tones={},
    )  # fmt: skip
    with pytest.raises(protocol.ProtocolError, match="Configure"):
        protocol.encode(huge)


def test_text_that_is_not_unicode_is_not_sent() -> None:
    with pytest.raises(protocol.ProtocolError, match="CallState"):
        protocol.encode(msgspec.structs.replace(CALL, number="+47\udce5"))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_a_protocol_error(packet: bytes) -> None:
    for decode in (protocol.decode_agent_record, protocol.decode_gateway_record):
        try:
            decode(packet)
        except protocol.ProtocolError:
            pass


def test_a_password_never_shows_when_a_record_is_printed() -> None:
    account = protocol.Account(
        id="main", user="u", domain="d", auth_user="u", password="hush-hush", targets=["192.0.2.1:5060"]
    )
    assert "hush-hush" not in repr(account)
    assert "hush-hush" not in str(account.__rich_repr__())
