"""Alert-Info, as platforms write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.alert import MAX_WORD, MAX_WORDS, alert_words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("Alert-Info: <http://127.0.0.1/Bellcore-dr2>", ("http://127.0.0.1/bellcore-dr2", "bellcore-dr2")),
        ("Alert-Info: Bellcore-dr3", ("bellcore-dr3",)),
        ("Alert-Info: <http://127.0.0.1>;info=alert-internal;x-line-id=0",
         ("http://127.0.0.1", "127.0.0.1", "alert-internal")),
        ('alert-info: <http://x/y>; info="Alert-Group"', ("http://x/y", "y", "alert-group")),
        ("Alert-Info: <urn:alert:source:internal>, <urn:alert:priority:high>",
         ("urn:alert:source:internal", "urn:alert:priority:high")),
        ("Alert-Info: <urn:alert:a>\r\nAlert-Info: <urn:alert:b>", ("urn:alert:a", "urn:alert:b")),
        ("Alert-Info:\r\n <urn:alert:a>", ("urn:alert:a",)),
        ("Alert-Info:", ()),
        ("X: y", ()),
    ],
)  # fmt: skip
def test_an_invite_asks_for_a_ringing_in_words(lines, words):
    assert alert_words(f"INVITE sip:1@x SIP/2.0\r\n{lines}\r\n\r\nAlert-Info: <in:the-body>") == words


@given(st.text(max_size=600))
def test_whatever_is_written_there_are_few_short_words(text):
    words = alert_words(f"INVITE sip:1@x SIP/2.0\r\nAlert-Info: {text}\r\n\r\n")
    assert len(words) <= MAX_WORDS
    assert all(0 < len(word) <= MAX_WORD + 32 and word.isprintable() for word in words)
