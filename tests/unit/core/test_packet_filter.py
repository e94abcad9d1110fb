"""The packet filter: what may be asked for, and that nothing but numbers and addresses gets into nft's script."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from agent.core.packet_filter import FilterError, PacketFilter, nft_script
from agent.core.ranges import parse_ranges
from agent.filter_file import decode_request, encode_request

FILTER = PacketFilter(
    sip_udp=(20_001, 20_000), rtp=(16_384, 16_449),
    signalling=parse_ranges(["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"]), media=(),
)  # fmt: skip


def body(**changes):
    fields = json.loads(encode_request(FILTER)) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def test_the_script_is_one_transaction_that_touches_the_adapters_ports_alone():
    assert nft_script(FILTER) == (
        "add table inet iplink\n"
        "delete table inet iplink\n"
        "table inet iplink {\n"
        "  set operator_signalling4 {\n"
        "    type ipv4_addr; flags interval; auto-merge;\n"
        "    elements = { 192.0.2.0/24, 198.51.100.7/32 }\n"
        "  }\n"
        "  set operator_signalling6 {\n"
        "    type ipv6_addr; flags interval; auto-merge;\n"
        "    elements = { 2001:db8::/32 }\n"
        "  }\n"
        "  set operator_media4 {\n"
        "    type ipv4_addr; flags interval; auto-merge;\n"
        "  }\n"
        "  set operator_media6 {\n"
        "    type ipv6_addr; flags interval; auto-merge;\n"
        "  }\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        '    iifname "lo" accept\n'
        "    ct direction reply accept\n"
        "    udp dport { 20000, 20001 } ip saddr @operator_signalling4 accept\n"
        "    udp dport { 20000, 20001 } ip6 saddr @operator_signalling6 accept\n"
        "    udp dport { 20000, 20001 } counter drop\n"
        "  }\n"
        "}\n"
    )


def test_speech_is_guarded_where_there_is_something_to_guard_them_by():
    guarded = structs.replace(FILTER, media=parse_ranges(["203.0.113.0/24"]))
    script = nft_script(guarded)
    assert "tcp" not in script
    assert "    udp dport { 16384-16449 } ip saddr @operator_media4 accept\n" in script
    assert "    udp dport { 16384-16449 } counter drop\n" in script
    assert "elements = { 203.0.113.0/24 }" in script


def test_what_is_asked_for_comes_out_of_the_file_as_it_went_in():
    assert decode_request(encode_request(FILTER)) == FILTER


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sip_udp": [53]}, "sip_udp has port 53; allowed are 1024 to 65535"),
        ({"sip_tcp": [22]}, "sip_tcp"),
        ({"sip_udp": []}, "there is no SIP port to guard"),
        ({"sip_udp": list(range(20_000, 20_017))}, "sip_udp"),
        ({"sip_udp": [70_000]}, "sip_udp"),
        ({"sip_udp": ["20000"]}, "sip_udp"),
        ({"rtp": [16_384, 16_383]}, "rtp has ports 16384 to 16383"),
        ({"rtp": [1, 65_535]}, "rtp has ports 1 to 65535"),
        ({"rtp": [1024, 65_535]}, "rtp has 64512 ports; at most 1024 are allowed"),
        ({"rtp": [16_384]}, "rtp"),
        ({"signalling": []}, "signalling is empty: nobody could call"),
        ({"signalling": ["0.0.0.0/0"]}, "signalling: '0.0.0.0/0' is far too wide: a range has at least a /8"),
        ({"media": ["::/0"]}, "media: '::/0' is far too wide: a range has at least a /16"),
        ({"media": ["192.0.2.0/24 }; flush ruleset; #"]}, "media: "),
        ({"signalling": ["192.0.2.0/24\n"]}, "signalling: "),
        ({"signalling": ["192.0.2.1"] * 129}, "signalling"),
        ({"signalling": ["1" * 65]}, "signalling"),
        ({"format": 2}, "format"),
        ({"format": None}, "format"),
        ({"table": "inet filter"}, "table"),
    ],
)
def test_what_an_adapter_would_not_ask_for_is_refused_by_name(changes, complaint):
    with pytest.raises(FilterError) as caught:
        decode_request(body(**changes))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("bad", [b"", b"{", b"null", b"[" * 50_000, b"\xff", b" " * (64 * 1024 + 1)])
def test_what_is_no_request_is_refused(bad):
    with pytest.raises(FilterError, match=r"^it "):
        decode_request(bad)


LINE = re.compile(
    r"(add table|delete table|table) inet iplink( \{)?|chain input \{|set operator_(signalling|media)[46] \{|\}"
    r"|type ipv[46]_addr; flags interval; auto-merge;|type filter hook input priority filter; policy accept;"
    r'|iifname "lo" accept|ct direction reply accept'
    r"|elements = \{ [0-9a-f:./]+(, [0-9a-f:./]+)* \}"
    r"|udp dport \{ [0-9]+([,-] ?[0-9]+)* \} (ip6? saddr @operator_(signalling|media)[46] accept|counter drop)"
)
texts = st.text(max_size=70) | st.ip_addresses().map(str) | st.just("192.0.2.0/24") | st.text("0123456789./:{};\n ")
ports = st.integers(-1, 70_000) | st.integers(10_000, 60_000)
requests = st.fixed_dictionaries(
    {
        "format": st.just(1), "sip_udp": st.lists(ports, max_size=4),
        "rtp": st.integers(1024, 60_000).map(lambda first: [first, first + 65]),
        "signalling": st.lists(texts, min_size=1, max_size=4), "media": st.lists(texts, max_size=4),
    }
)  # fmt: skip


@given(requests)
def test_whatever_is_asked_for_the_script_holds_nothing_but_numbers_and_addresses(request_):
    try:
        wanted = decode_request(json.dumps(request_).encode())
    except FilterError:
        return
    for line in nft_script(wanted).splitlines():
        assert LINE.fullmatch(line.strip()), line


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_way(data):
    with pytest.raises(FilterError):
        decode_request(data)
