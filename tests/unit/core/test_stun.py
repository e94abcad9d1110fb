"""STUN servers as they are written, and which datagrams are the answer to a question."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.place import Place
from agent.core.stun import MAX_MESSAGE, StunError, binding_request, mapped_place, parse_server

ID = bytes(range(0xB7, 0xB7 + 12))
COOKIE = 0x2112A442
RFC_5769 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
"""The sample IPv4 response of §2.2, as the RFC prints it."""
RFC_5769_SIXTH = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147"
    "0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
"""That of §2.3."""


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def place(address, port, mask=b""):
    found = ipaddress.ip_address(address)
    hidden = bytes(one ^ other for one, other in zip(found.packed, mask or bytes(16), strict=False))
    return struct.pack("!BBH", 0, 1 if found.version == 4 else 2, port ^ int.from_bytes(mask[:2])) + hidden


def xored(address, port, identity=ID):
    return attribute(0x0020, place(address, port, struct.pack("!I", COOKIE) + identity))


def answer(*attributes, kind=0x0101, cookie=COOKIE, identity=ID, length=None):
    body = b"".join(attributes)
    return struct.pack("!HHI12s", kind, len(body) if length is None else length, cookie, identity) + body


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1:3478", Place("192.0.2.1", 3478)),
        ("[2001:DB8::1]:19302", Place("2001:db8::1", 19302)),
        ("127.0.0.1:1", Place("127.0.0.1", 1)),
    ],
)
def test_a_server_is_an_address_and_a_port(text, found):
    assert parse_server(text) == found
    assert parse_server(str(found)) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("stun.example.net:3478", "is a name, or no address at all; it has to be an IP address and a port"),
        ("192.0.2.1", "is not an IP address and a port; 192.0.2.1:3478 or [2001:db8::1]:3478 is right"),
        ("2001:db8::1", "is not an IP address and a port; 192.0.2.1:3478 or [2001:db8::1]:3478 is right"),
        ("2001:db8::1:3478", "is not an IP address and a port; 192.0.2.1:3478 or [2001:db8::1]:3478 is right"),
        ("stun:192.0.2.1:3478", "is not an IP address and a port; 192.0.2.1:3478 or [2001:db8::1]:3478 is right"),
        ("192.0.2.1:0", "has port 0, which does not exist"),
        ("192.0.2.1:65536", "has port 65536, which does not exist"),
        ("192.0.2:3478", "is a name, or no address at all; it has to be an IP address and a port"),
        ("[fe80::1%eth0]:3478", "is a name, or no address at all; it has to be an IP address and a port"),
        ("[::ffff:192.0.2.1]:3478", "is a name, or no address at all; it has to be an IP address and a port"),
        ("[192.0.2.1]:3478", "is a name, or no address at all; it has to be an IP address and a port"),
        ("0.0.0.0:3478", "has an address that is no single server's"),
        ("[::]:3478", "has an address that is no single server's"),
        ("224.0.0.1:3478", "has an address that is no single server's"),
        ("255.255.255.255:3478", "has an address that is no single server's"),
        ("192.0.2.1:٣٤٧٨", "is not an IP address and a port; 192.0.2.1:3478 or [2001:db8::1]:3478 is right"),
    ],
)
def test_any_other_text_is_refused_by_a_sentence_that_names_the_setting(text, why):
    with pytest.raises(StunError) as refusal:
        parse_server(text)
    assert str(refusal.value).startswith(f"stun_server {text!a} {why}")


def test_a_long_text_is_not_quoted_whole():
    with pytest.raises(StunError, match=r"^stun_server '1{64}' is not an IP address"):
        parse_server("1" * 5000)


@given(st.text(max_size=80))
def test_every_text_is_refused_or_is_a_server_that_is_written_as_it_was_read(text):
    try:
        found = parse_server(text)
    except StunError:
        return
    assert parse_server(str(found)) == found


def test_a_question_is_a_binding_request_without_attributes():
    assert binding_request(ID) == bytes.fromhex("000100002112a442") + ID


@pytest.mark.parametrize(
    ("message", "found"),
    [(RFC_5769, Place("192.0.2.1", 32853)), (RFC_5769_SIXTH, Place("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_the_answers_of_rfc_5769_are_read(message, found):
    assert mapped_place(message, message[8:20]) == found


def test_the_address_that_no_router_rewrites_counts_for_more():
    plain = attribute(0x0001, place("10.0.0.9", 5))
    assert mapped_place(answer(plain), ID) == Place("10.0.0.9", 5)
    assert mapped_place(answer(plain, xored("198.51.100.7", 40_000)), ID) == Place("198.51.100.7", 40_000)
    assert mapped_place(answer(xored("198.51.100.7", 40_000), plain), ID) == Place("198.51.100.7", 40_000)


def test_an_old_servers_answer_is_read():
    old = (attribute(0x0001, place("198.51.100.7", 9)), *(attribute(k, place("192.0.2.1", 3478)) for k in (4, 5, 11)))
    assert mapped_place(answer(*old), ID) == Place("198.51.100.7", 9)


GOOD = xored("198.51.100.7", 40_000)


@pytest.mark.parametrize(
    "message",
    [
        answer(GOOD, identity=ID[:-1] + b"\0"),
        answer(GOOD, cookie=COOKIE ^ 1),
        answer(GOOD, kind=0x0111),
        answer(GOOD, kind=0x0001),
        answer(GOOD, length=len(GOOD) - 4),
        answer(GOOD, length=len(GOOD) + 4),
        answer(GOOD) + b"\0\0\0\0",
        answer(GOOD)[:-1],
        answer(),
        b"",
        b"\x01\x01",
        answer(GOOD, attribute(0x7FFF, b"must be understood")),
        answer(struct.pack("!HH", 0x0020, 200) + place("198.51.100.7", 1)),
        answer(GOOD, struct.pack("!HH", 0x8022, 0xFFFF)),
        answer(attribute(0x0020, b"")),
        answer(attribute(0x0020, b"\0")),
        answer(attribute(0x0020, b"\0\1\0\1")),
        answer(attribute(0x0020, b"\0\3" + bytes(6))),
        answer(attribute(0x0001, place("198.51.100.7", 1) + b"\0")),
        answer(xored("198.51.100.7", 0)),
        answer(xored("0.0.0.0", 40_000)),
        answer(xored("239.1.1.1", 40_000)),
        answer(xored("255.255.255.255", 40_000)),
        answer(GOOD, attribute(0x8022, bytes(MAX_MESSAGE))),
    ],
)  # fmt: skip
def test_what_is_not_the_answer_is_none(message):
    assert mapped_place(message, ID) is None


def test_what_is_unknown_and_optional_is_passed_over():
    assert mapped_place(answer(attribute(0x8022, b"a server"), GOOD, attribute(0xC001, b"x")), ID) is not None


@given(st.binary(max_size=200))
def test_no_datagram_breaks_the_reading(message):
    assert mapped_place(message, ID) is None or message[8:20] == ID


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=24)), max_size=6), st.data())
def test_nothing_behind_a_right_header_breaks_it(attributes, data):
    message = bytearray(answer(*(attribute(kind, value) for kind, value in attributes)))
    for _ in range(data.draw(st.integers(0, 3))):
        if len(message) > 20:
            message[data.draw(st.integers(20, len(message) - 1))] = data.draw(st.integers(0, 255))
    found = mapped_place(bytes(message), ID)
    assert found is None or (found.port > 0 and not ipaddress.ip_address(found.address).is_unspecified)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(1, 65_535), st.binary(min_size=12, max_size=12))
def test_every_place_comes_back_as_it_was_sent(address, port, identity):
    found = mapped_place(answer(xored(str(address), port, identity), identity=identity), identity)
    special = address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255"
    assert found == (None if special else Place(str(address), port))
