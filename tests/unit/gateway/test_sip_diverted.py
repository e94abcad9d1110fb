"""From where a call was sent on, as INVITEs say it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.diversion import MOST_COUNTED, DiversionReason, Diverted
from agent.gateway.daemon.sip.diverted import diversions, diverted_from, written
from agent.gateway.daemon.sip.headers import MAX_VALUES

ALWAYS, NOBODY, BUSY = DiversionReason.UNCONDITIONAL, DiversionReason.NO_ANSWER, DiversionReason.USER_BUSY
OLD, NEW = "<sip:1@op;user=phone>;index=1", "<sip:2@op;cause=302>;index=1.1"


def invite(*headers):
    return "\r\n".join(
        ["INVITE sip:1@127.0.0.1 SIP/2.0", "From: x", *headers, "Content-Length: 0", "", "Diversion: <1>"]
    )


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        (["Diversion: <sip:+4722000001@op>;reason=unconditional"], "+4722000001"),
        (['Diversion: <sip:2@op>;reason=no-answer, "A, B" <sip:1@op>;reason=user-busy'], "1"),
        (["Diversion: <sip:2@op>", "Diversion: <tel:+471>;privacy=off"], "+471"),
        (["Diversion: <sip:+4722000001@op>;privacy=full"], ""),
        (['Diversion: <sip:+4722000001@op>;privacy="uri"'], ""),
        (["History-Info: <sip:1@op>;index=1, <sip:2@op?Reason=SIP%3Bcause%3D302>;index=1.1"], "1"),
        (["History-Info: <sip:1@op>;index=1"], ""),
        (["History-Info: <sip:1@op?Privacy=history>;index=1, <sip:2@op>;index=1.1"], ""),
        (["Diversion: <sip:1@op>", "History-Info: <sip:3@op>;index=1, <sip:2@op>;index=1.1"], "1"),
        (["X-Diversion: <sip:1@op>"], ""),
        ([], ""),
    ],
)
def test_a_diverted_call_says_whom_the_caller_had_called_first(headers, number):
    assert diverted_from(invite(*headers)) == number


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (["Diversion: <sip:+4722@op>;reason=unconditional;counter=2;privacy=off"],
         [Diverted("+4722", "op", ALWAYS, 2)]),
        (['Diversion: "a;reason=x" <sip:2@op:5060>;reason="no-answer";privacy=full'],
         [Diverted("2", "op", NOBODY, 1, hidden=True)]),
        (["Diversion: <sip:2@op>;Reason = User-Busy , <tel:+471>"],
         [Diverted("2", "op", BUSY), Diverted("+471")]),
        (["Diversion: <sip:2@op>;reason=time-of-day;counter=0", "Diversion: sip:1@op;reason=no-answer"],
         [Diverted("2", "op"), Diverted("1", "op", NOBODY)]),
        (["Diversion: <sip:2@op>;counter=99999999;limit=3"], [Diverted("2", "op", count=MOST_COUNTED)]),
        (["Diversion: <sip:2@op>;counter=-1;counter=x"], [Diverted("2", "op")]),
        (["Diversion: nonsense"], [Diverted("")]),
        ([f"History-Info: {OLD}, {NEW}"], [Diverted("1", "op", ALWAYS)]),
        ([f"History-Info: {OLD}", f"History-Info: {NEW}", "History-Info: <sip:3@op;cause=486>;index=1.1.1"],
         [Diverted("2", "op", BUSY), Diverted("1", "op", ALWAYS)]),
        (["History-Info: <sip:1@op?Reason=SIP%3Bcause%3D408&Privacy=history>;index=1, <sip:2@op>;index=1.1"],
         [Diverted("1", "op", NOBODY, 1, hidden=True)]),
        (["History-Info: <sip:1@op>;index=1, <sip:u@192.0.2.1>;index=1.1;rc=1"], []),
        (["Diversion: <sip:9@op>", f"History-Info: {OLD}, {NEW}"], [Diverted("9", "op")]),
        (["Diversion: <sip:9@op>", f"History-Info: {OLD}, {NEW}, <sip:3@op;cause=503>;index=1.1.1"],
         [Diverted("2", "op", DiversionReason.UNAVAILABLE), Diverted("1", "op", ALWAYS)]),
        ([], []),
    ],
)  # fmt: skip
def test_every_diversion_is_read_the_latest_first(headers, found):
    assert list(diversions(invite(*headers))) == found


def test_what_is_written_can_be_read_again():
    past = (Diverted("+4722000001", "", ALWAYS), Diverted("", "op", BUSY, 3, hidden=True), Diverted("a b", "[::1]"))
    values = written(past, "own.example")
    assert values == [
        "<sip:+4722000001@own.example>;reason=unconditional;counter=1;privacy=off",
        "<sip:unknown@op>;reason=user-busy;counter=3;privacy=full",
        "<sip:a%20b@[::1]>;reason=unknown;counter=1;privacy=off",
    ]
    again = diversions(invite(*(f"Diversion: {value}" for value in values)))
    assert [(one.user, one.reason, one.count, one.hidden) for one in again] == [
        ("+4722000001", ALWAYS, 1, False), ("unknown", BUSY, 3, True), ("a b", DiversionReason.UNKNOWN, 1, False),
    ]  # fmt: skip


_text = st.text(alphabet='<>"\\,;=: ?&%@.-[]sip+4722reasonprivacycounter=302\r\n\tæ', max_size=600)


@given(_text | st.text(max_size=300), _text)
def test_whatever_these_headers_hold_there_are_few_and_they_can_be_passed_on(text, other):
    message = invite(f"Diversion: {text}", f"History-Info: {other}", f"History-Info: {NEW}")
    found = diversions(message)
    assert len(found) <= MAX_VALUES
    assert all(1 <= one.count <= MOST_COUNTED and len(one.user) <= 32 for one in found)
    for value in written(found, "own.example"):
        assert len(value) < 320
        assert value.isascii()
        assert value.isprintable()
    assert len(diverted_from(message)) <= 128
