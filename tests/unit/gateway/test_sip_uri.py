"""The SIP text that comes from outside: read what is there, survive what is not."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.foreign_text import mask_numbers, one_line, phrase
from agent.core.target import Target, TargetError, parse_target
from agent.core.transports import Transport
from agent.gateway.daemon.sip.uri import address_of, called_user, line_token, retry_after_s, sip_uri, text_of, user_of


@pytest.mark.parametrize(
    ("text", "target", "route"),
    [
        ("192.0.2.1:5070;transport=udp", Target("192.0.2.1", 5070), "<sip:192.0.2.1:5070;transport=udp;lr>"),
        ("192.0.2.1", Target("192.0.2.1", 5060), "<sip:192.0.2.1:5060;transport=udp;lr>"),
        ("192.0.2.1;transport=tcp", Target("192.0.2.1", 5060, Transport.TCP), "<sip:192.0.2.1:5060;transport=tcp;lr>"),
        ("192.0.2.1;transport=TLS", Target("192.0.2.1", 5061, Transport.TLS), "<sip:192.0.2.1:5061;transport=tls;lr>"),
        (
            "Sip.Example.no@192.0.2.1:5063;transport=tls",
            Target("192.0.2.1", 5063, Transport.TLS, "sip.example.no"),
            "<sip:sip.example.no:5063;transport=tls;lr>",
        ),
        ("[2001:db8::1]:5062", Target("2001:db8::1", 5062), "<sip:[2001:db8::1]:5062;transport=udp;lr>"),
    ],
)
def test_a_target_becomes_a_route(text, target, route):
    assert parse_target(text) == target
    assert parse_target(text).route == route


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip.example.no:5060",
        "192.0.2.1:0",
        "192.0.2.1:99999",
        "192.0.2.1;transport=sctp",
        "sip.example.no@192.0.2.1",
        "sip.example.no@192.0.2.1;transport=tcp",
        "sip.example.no@;transport=tls",
        "@192.0.2.1;transport=tls",
        "a@b@192.0.2.1;transport=tls",
        "a b@192.0.2.1;transport=tls",
        "192.0.2.1:5060>;x=",
        "192.0.2.1:5060\r\nX: y",
    ],
)
def test_a_target_that_cannot_be_is_refused_by_name(text):
    with pytest.raises(TargetError, match="target"):
        parse_target(text)


@pytest.mark.parametrize(
    ("user", "uri"),
    [
        ("+4722334455", "sip:+4722334455@lab.example"),
        ("*21#", "sip:*21%23@lab.example"),
        ("a@b;c?d>e", "sip:a%40b%3Bc%3Fd%3Ee@lab.example"),
    ],
)
def test_a_user_part_is_escaped(user, uri):
    assert sip_uri(user, "lab.example") == uri


@pytest.mark.parametrize(("user", "domain"), [("", "lab.example"), ("1" * 129, "lab.example"), ("1", ""), ("1", "a>b")])
def test_an_address_that_cannot_be_written_is_refused(user, domain):
    with pytest.raises(ValueError, match=r"user part|domain"):
        sip_uri(user, domain)


@pytest.mark.parametrize(
    ("line", "user", "token"),
    [
        ("INVITE sip:+4722334455@192.0.2.9:20001;line=00c0ffee00c0ffee;ob SIP/2.0", "+4722334455", "00c0ffee00c0ffee"),
        ("INVITE sip:1001;cpc=ordinary@192.0.2.9 SIP/2.0", "1001", ""),
        ("INVITE sip:%2A21%23@192.0.2.9;line=short SIP/2.0", "*21#", ""),
        ("INVITE sip:192.0.2.9 SIP/2.0", "", ""),
        ("INVITE tel:+4722334455 SIP/2.0", "", ""),
    ],
)
def test_the_called_number_and_our_own_mark_come_from_the_request_uri(line, user, token):
    message = f"{line}\r\nTo: <sip:other@x;line=deadbeefdeadbeef>\r\n\r\n"
    assert (called_user(message), line_token(message)) == (user, token)


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ('"Kari; <x>" <sip:+4790000000@lab.example;user=phone>;tag=1', "+4790000000"),
        ("sip:112@lab.example", "112"),
        ("<sip:lab.example>", ""),
        ("anonymous", ""),
        ('"sip:+4722222222@bank.example" <sip:+4790000000@lab.example>', "+4790000000"),
        ('"<sip:+4722222222@bank.example>" <sip:+4790000000@lab.example>', "+4790000000"),
        (r'"a\" <sip:+4722222222@x>" <sip:+4790000000@lab.example>', "+4790000000"),
        ("sip:+4722222222@x <sip:+4790000000@lab.example>", "+4790000000"),
        ('"sip:+4722222222@x> <sip:+4722222222@x>', ""),
        ("<sip:47%00%0d%0a99@x>", "47   99"),
    ],
)
def test_the_caller_is_the_user_part(value, user):
    assert user_of(value) == user


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("SIP/2.0 503 Busy\r\nRetry-After: 120 (in maintenance);duration=3600\r\n\r\n", 120),
        ("SIP/2.0 503 Busy\r\nretry-after:5\r\n\r\n", 5),
        ("SIP/2.0 503 Busy\r\nX-Retry-After: 5\r\n\r\nRetry-After: 6", None),
        ("SIP/2.0 503 Busy\r\nRetry-After: soon\r\n\r\n", None),
        ("", None),
    ],
)
def test_retry_after_is_read_from_the_head_only(message, seconds):
    assert retry_after_s(message) == seconds


def test_the_source_is_an_address_without_its_port():
    assert address_of("192.0.2.1:5060") == "192.0.2.1"
    assert address_of("[2001:db8::1]:5060") == "2001:db8::1"


def test_numbers_are_hidden_but_for_their_end():
    assert mask_numbers("sip:+4722334455@x, code 486, 112") == "sip:+******4455@x, code 486, 112"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Bruker +4741234512 er sperret", "Bruker +******4512 er sperret"),
        ("Bruker 41 23 45 12 er sperret", "Bruker ** ** 45 12 er sperret"),
        ("412 34-512", "*** *4-512"),
        ("Not here 1234", "Not here 1234"),
        ("from 192.0.2.1:5060", "from 192.0.2.1:5060"),
    ],
)
def test_numbers_in_a_reason_are_hidden_also_in_groups(words, shown):
    assert phrase(words) == shown


ANY_TEXT = st.text(st.characters(), max_size=400) | st.binary(max_size=400).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)


@given(ANY_TEXT)
def test_whatever_bytes_came_the_words_can_be_encoded_and_are_one_line(text):
    for clean in (
        phrase(text),
        one_line(text),
        user_of(f"<sip:{text}@x>"),
        called_user(f"INVITE sip:{text}@x SIP/2.0"),
    ):
        clean.encode()
        assert clean.isprintable()
        assert len(clean) <= 200
    text_of(text).encode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_display_name_changes_the_caller(name):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert user_of(f'"{quoted}" <sip:+4790000000@lab.example>;tag=1') == "+4790000000"


@given(st.text(max_size=400) | st.from_regex(r"INVITE sip:[ -~]{0,60} SIP/2\.0", fullmatch=True))
def test_no_text_breaks_a_reader(text):
    assert len(called_user(text)) <= 128
    assert len(user_of(text)) <= 128
    assert len(line_token(text)) in (0, 8)
    assert retry_after_s(text) is None or retry_after_s(text) >= 0
    address_of(text)
    mask_numbers(text)


@given(st.text(max_size=100))
def test_a_target_is_read_or_refused_and_nothing_else(text):
    with contextlib.suppress(TargetError):
        assert parse_target(text).route.startswith("<sip:")
