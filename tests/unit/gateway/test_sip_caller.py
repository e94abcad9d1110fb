"""Who calls, as the From of an INVITE says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.caller import UNKNOWN_CALLER, CallerId, Presentation
from agent.gateway.daemon.sip.caller import caller_of, identified
from agent.gateway.daemon.sip.headers import MAX_VALUES, values

WITHHELD = CallerId(presentation=Presentation.WITHHELD)


@pytest.mark.parametrize(
    ("value", "caller"),
    [
        ('"Kari Nordmann" <sip:+4790000000@lab.example>;tag=1', CallerId("+4790000000", "Kari Nordmann")),
        ("Kari <sip:+4790000000@lab.example>", CallerId("+4790000000", "Kari")),
        (r'"K \"Kari\" N" <sip:22334455@lab.example>', CallerId("22334455", 'K "Kari" N')),
        (r'"Kari\" <sip:22334455@lab.example>', UNKNOWN_CALLER),
        ("sip:+4790000000@lab.example", CallerId("+4790000000")),
        ('"+4790000000" <sip:4790000000@lab.example>', CallerId("4790000000")),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=2', WITHHELD),
        ("<sip:Anonymous@lab.example>", WITHHELD),
        ('"Anonymous" <sip:c8oqz84zk7z@privacy.example>', WITHHELD),
        ('"Anonymous" <sip:+4790000000@lab.example>', CallerId("+4790000000", "Anonymous")),
        ("<sip:unavailable@unknown.invalid>", UNKNOWN_CALLER),
        ("<sip:lab.example>", UNKNOWN_CALLER),
        ("", UNKNOWN_CALLER),
    ],
)
def test_from_says_who_calls(value, caller):
    assert caller_of(value) == caller


def test_a_telephone_shows_nothing_that_was_withheld():
    caller = CallerId("+4790000000", "Kari", Presentation.WITHHELD)
    assert (caller.shown_number, caller.shown_name) == ("", "")


@given(st.text(max_size=400))
def test_whatever_a_stranger_writes_is_one_bounded_line(text):
    for value in (text, f'"{text}" <sip:1@x>', f"{text} <sip:{text}@x>"):
        caller = caller_of(value)
        assert len(caller.number) <= 128
        assert len(caller.name) <= 128
        assert (caller.number + caller.name).isprintable()
        (caller.number + caller.name).encode()


# --- what the operator asserts ---------------------------------------------------------------------------------------

KARI = CallerId("+4790000000", "Kari")
ANYBODY = CallerId("+4711111111", "Anybody")


def invite(*headers):
    return "\r\n".join(["INVITE sip:1@127.0.0.1 SIP/2.0", "From: x", *headers, "Content-Length: 0", "", "Privacy: id"])


@pytest.mark.parametrize(
    ("claimed", "headers", "trusted", "caller"),
    [
        (ANYBODY, ['P-Asserted-Identity: "Kari" <sip:+4790000000@op>'], True, KARI),
        (ANYBODY, ['P-Asserted-Identity: "Kari" <sip:+4790000000@op>'], False, ANYBODY),
        (ANYBODY, ["P-Asserted-Identity: <sip:kari@op>, <tel:+4790000000>"], True, CallerId("+4790000000")),
        (KARI, ["P-Asserted-Identity: <sip:+4790000000@op>"], True, KARI),
        (ANYBODY, ["P-Asserted-Identity: <sip:kari@op>"], True, ANYBODY),
        (ANYBODY, ["P-Asserted-Identity: nonsense"], True, ANYBODY),
        (UNKNOWN_CALLER, ["P-Asserted-Identity: <tel:+4790000000>"], True, CallerId("+4790000000")),
        (WITHHELD, ['P-Asserted-Identity: "Kari" <tel:+4790000000>'], True,
         CallerId("+4790000000", "Kari", Presentation.WITHHELD)),
        (ANYBODY, ["P-Asserted-Identity: <tel:+4790000000>", "Privacy: id"], True,
         CallerId("+4790000000", "", Presentation.WITHHELD)),
        (KARI, ["Privacy: id"], False, CallerId("+4790000000", "Kari", Presentation.WITHHELD)),
        (KARI, ["Privacy: header; user ;critical"], False, CallerId("+4790000000", "Kari", Presentation.WITHHELD)),
        (KARI, ["Privacy: none"], False, KARI),
        (KARI, ["Privacy: session;header"], False, KARI),
        (UNKNOWN_CALLER, ["Privacy: id"], False, UNKNOWN_CALLER),
        (KARI, [], True, KARI),
    ],
)  # fmt: skip
def test_the_operator_names_the_caller_where_it_is_trusted_and_privacy_hides_him_always(
    claimed, headers, trusted, caller
):
    assert identified(claimed, invite(*headers), trusted=trusted) == caller


@given(st.text(alphabet='<>"\\,;=: sip@tel+47idPrivacyfull\r\n', max_size=500), st.booleans())
def test_whatever_these_headers_hold_the_caller_can_be_told(text, trusted):
    message = invite(*(f"{name}: {text}" for name in ("P-Asserted-Identity", "Privacy")))
    assert len(values(message, "P-Asserted-Identity")) <= MAX_VALUES
    caller = identified(ANYBODY, message, trusted=trusted)
    for word in (caller.number, caller.name):
        assert len(word) <= 128
        assert word.isprintable() or not word
    assert trusted or caller.number == ANYBODY.number
