"""SIP messages from the library's log: kept without credentials, bounded, shown without full numbers, captured."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway import sip_trace
from agent.gateway.daemon.sip.trace import MAX_BYTES, SipTrace, read_line, without_secrets
from agent.gateway.sip_trace import MAX_MESSAGES, Message, Trace, TraceError

INVITE = (
    "INVITE sip:+4741234567@sip.example.net SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bKabc\r\n"
    'From: "Olga Nordmann" <sip:+4722334455@sip.example.net>;tag=1\r\n'
    "To: <sip:+4741234567@sip.example.net>\r\n"
    "Call-ID: 7f3a9c21-call\r\n"
    "CSeq: 4711 INVITE\r\n"
    'Authorization: Digest username="olga", realm="example",\r\n'
    ' nonce="abc", response="0123456789abcdef0123456789abcdef"\r\n'
    "Content-Length: 0\r\n\r\n"
)


def logged(text: str, way: str = "TX", peer: str = "198.51.100.1:5060", end: str = "\n--end msg--\n") -> str:
    joint = "to" if way == "TX" else "from"
    return (
        f"23:54:38.922           pjsua_core.c  .{way} {len(text)} bytes Request msg INVITE/cseq=4711 (tdta0x5635ca) "
        f"{joint} UDP {peer}:\n{text}{end}"
    )


def kept(*texts: str) -> SipTrace:
    trace = SipTrace()
    for at, text in enumerate(texts):
        assert trace.take(logged(text), at)
    return trace


def test_a_message_is_kept_whole_but_for_its_credentials():
    message = read_line(logged(INVITE), 5)
    assert message is not None
    assert (message.sent, message.transport, message.peer, message.cut) == (True, "UDP", "198.51.100.1:5060", False)
    assert "0123456789abcdef" not in message.text
    assert "olga" not in message.text
    assert message.text.replace("Authorization: (removed)\r\n", "") == "".join(
        line for line in INVITE.splitlines(keepends=True) if "Digest" not in line and "nonce" not in line
    )


@pytest.mark.parametrize(
    "header",
    [
        "Proxy-Authorization: Digest response=\"secret\"",
        "AUTHORIZATION : Basic secret",
        "WWW-Authenticate: Digest nonce=\"secret\"",
        "Authentication-Info: rspauth=\"secret\"",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret",
    ],
)  # fmt: skip
def test_no_header_with_a_credential_is_kept(header):
    assert "secret" not in without_secrets(f"REGISTER sip:x SIP/2.0\r\n{header}\r\nCSeq: 1 REGISTER\r\n\r\n")


def test_a_message_that_the_library_cut_says_so():
    message = read_line(logged(INVITE[:300], "RX", end=""), 0)
    assert message is not None
    assert (message.sent, message.cut) == (False, True)


@pytest.mark.parametrize("line", ["", "23:54 sip_endpoint.c .Module registered", "RX 3 bytes of something"])
def test_other_lines_are_no_messages(line):
    assert not SipTrace().take(line, 0)


def test_only_the_newest_messages_are_kept():
    trace = kept(*(f"OPTIONS sip:{number} SIP/2.0\r\n\r\n" for number in range(MAX_MESSAGES + 5)))
    assert len(trace.messages()) == MAX_MESSAGES
    assert trace.messages()[0].at_ms == 5
    large = kept(*("X" * 4000 for _ in range(200)))
    assert sum(len(message.text) for message in large.messages()) <= MAX_BYTES


def a_trace(*texts: str) -> Trace:
    return Trace(
        wall="2026-11-22T20:00:00.000+00:00", boot_ms=10_000, local="192.0.2.7:40000", messages=kept(*texts).messages()
    )


def test_the_ladder_says_when_which_way_whom_and_what_without_a_full_number():
    trace = a_trace(INVITE)
    answer = read_line(logged("SIP/2.0 200 OK\r\nCall-ID: 7f3a9c21-call\r\nCSeq: 4711 INVITE\r\n\r\n", "RX"), 1500)
    assert answer is not None
    first, second = sip_trace.ladder([*trace.messages, answer])
    assert first.split() == [
        "0.000", "──▶", "UDP", "198.51.100.1:5060", "INVITE", "sip:+474•••••67@sip.example.net", "(4711", "INVITE)",
        "[7f3a9c21]",
    ]  # fmt: skip
    assert second.split()[:6] == ["1.500", "◀──", "UDP", "198.51.100.1:5060", "200", "OK"]


def test_whole_messages_show_numbers_and_names_only_when_asked():
    trace = a_trace(INVITE)
    quiet = "\n".join(sip_trace.shown(trace.messages, numbers=False))
    assert "41234567" not in quiet
    assert "Olga" not in quiet
    assert "41234567" in "\n".join(sip_trace.shown(trace.messages, numbers=True))


def test_one_call_is_chosen_by_its_id():
    trace = a_trace(INVITE, INVITE.replace("7f3a", "9999"))
    assert [message.at_ms for message in sip_trace.of_call(trace.messages, "9999")] == [1]


@pytest.mark.parametrize(("local", "version"), [("192.0.2.7:40000", 4), ("[2001:db8::7]:40000", 6)])
def test_a_capture_holds_each_message_as_a_datagram(local, version):
    trace = a_trace(INVITE, "OPTIONS sip:x SIP/2.0\r\n\r\n")
    trace = Trace(wall=trace.wall, boot_ms=trace.boot_ms, local=local, messages=trace.messages)
    body = sip_trace.pcap(trace, trace.messages, 1_000_010_000)
    assert struct.unpack("<IHHiIII", body[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    at, found = 24, []
    while at < len(body):
        seconds, micros, length, original = struct.unpack("<IIII", body[at : at + 16])
        packet = body[at + 16 : at + 16 + length]
        assert length == original == len(packet)
        header = 20 if version == 4 else 40
        assert packet[0] >> 4 == version
        source, target, size, _ = struct.unpack(">HHHH", packet[header : header + 8])
        assert (source, target, size) == (40000, 5060, len(packet) - header)
        found.append((seconds, micros, packet[header + 8 :].decode()))
        at += 16 + length
    assert found == [
        (1_000_000, 0, trace.messages[0].text),
        (1_000_000, 1000, trace.messages[1].text),
    ]


def test_a_capture_of_ipv4_has_the_checksum_that_routers_check():
    trace = a_trace(INVITE)
    packet = sip_trace.pcap(trace, trace.messages, 0)[40:]
    assert sum(struct.unpack(">10H", packet[:20])) % 0xFFFF == 0


def test_a_trace_survives_its_file_and_what_is_none_is_refused():
    trace = a_trace(INVITE)
    assert sip_trace.decode(sip_trace.encode(trace)) == trace
    for body in (b"", b"{}", b"\xff", b" " * (sip_trace.MAX_FILE + 1)):
        with pytest.raises(TraceError):
            sip_trace.decode(body)


def test_the_largest_trace_fits_its_file():
    large = kept(*("é" * 4000 for _ in range(200)))
    trace = Trace(wall="", boot_ms=0, local="", messages=large.messages())
    assert len(sip_trace.encode(trace)) <= sip_trace.MAX_FILE


@given(st.text(max_size=300))
def test_any_log_line_is_read_or_passed_over(text):
    read_line(text, 0)
    message = read_line(logged(text), 0)
    assert message is None or isinstance(message, Message)


@given(st.binary(max_size=300))
def test_any_file_is_a_trace_or_refused(body):
    try:
        sip_trace.decode(body)
    except TraceError:
        return
