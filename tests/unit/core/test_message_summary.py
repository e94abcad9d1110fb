"""What a mailbox tells of its messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.message_summary import MAX_COUNT, Summary, parse_summary

KIND = "Content-Type: application/simple-message-summary"


def notify(body, kind=KIND):
    return f"NOTIFY sip:1@x SIP/2.0\r\nEvent: message-summary\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        ("Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nVoice-Message: 2/8 (0/2)\r\n", Summary(2, 8)),
        ("Messages-Waiting: no\r\nVoice-Message: 0/3 (0/0)\r\n", Summary(0, 3)),
        ("messages-waiting:yes\nvoice-message : 1 / 0", Summary(1, 0)),
        ("Messages-Waiting: yes\r\n", Summary(1, 0)),
        ("Messages-Waiting: no\r\n", Summary(0, 0)),
        ("Messages-Waiting: yes\r\nFax-Message: 4/0\r\n", Summary(1, 0)),
        ("Voice-Message: 99999999/5", Summary(MAX_COUNT, 5)),
        ("Voice-Message: many/0\r\nMessages-Waiting: no", Summary(0, 0)),
        ("Messages-Waiting: perhaps", None),
        ("", None),
    ],
)
def test_a_summary_is_read_as_the_rfc_writes_it(body, summary):
    assert parse_summary(notify(body)) == summary


@pytest.mark.parametrize(
    "kind", ["Content-Type: text/plain", "Content-Type: application/simple-message-summaryx", "X: y"]
)
def test_another_body_is_no_summary(kind):
    assert parse_summary(notify("Messages-Waiting: yes", kind)) is None


@pytest.mark.parametrize("kind", ["c: application/simple-message-summary", f"{KIND};charset=utf-8", KIND.upper()])
def test_the_type_may_be_written_in_other_ways(kind):
    assert parse_summary(notify("Messages-Waiting: no", kind)) == Summary(0, 0)


def test_no_message_at_all_is_no_summary():
    assert parse_summary("") is None


@given(st.text(max_size=300) | st.text(alphabet="MesagWitinVoc-:/ ynoefr0123456789\r\n", max_size=300))
def test_whatever_is_told_the_counts_stay_within_their_bounds(body):
    summary = parse_summary(notify(body))
    assert summary is None or (0 <= summary.new <= MAX_COUNT and 0 <= summary.old <= MAX_COUNT)
