from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.status.app import wished_language
from agent.status.gate import Gate, Limits
from agent.status.security import AllowedHosts

HOSTS = AllowedHosts(["adapter.local", "192.168.1.9"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "[::1]:8080", "adapter.local.", "192.168.1.9", "10.0.0.7:8080"],
)
def test_own_names_are_answered(host):
    assert HOSTS.allows(host, "10.0.0.7")


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "10.0.0.8", "localhost.evil.example", "localhost:80:80", "a@localhost", "[::2]"]
)
def test_foreign_names_are_not(host):
    assert not HOSTS.allows(host, "10.0.0.7")


def test_mapped_own_address_is_ours():
    assert HOSTS.allows("10.0.0.7", "::ffff:10.0.0.7")
    assert HOSTS.allows("[fe80::1]", "fe80::1%eth0")


@given(st.text(max_size=300), st.text(max_size=50))
def test_no_host_header_breaks_the_check(host, own):
    assert HOSTS.allows(host, own) in {True, False}


@pytest.mark.parametrize(
    ("accept", "lang"),
    [
        ("", "nb"), ("en-GB,en;q=0.9", "en"), ("nn-NO,no;q=0.8,en;q=0.5", "nb"), ("de,fr", "nb"),
        ("nb;q=0.3,en;q=0.7", "en"), ("en;q=0", "nb"), ("en;q=x", "nb"),
    ],
)  # fmt: skip
def test_browser_language_is_followed(accept, lang):
    assert wished_language(accept, "nb") == lang


@given(st.text(max_size=400))
def test_no_language_header_breaks_the_page(accept):
    assert wished_language(accept, "nb") in {"nb", "en"}


def test_gate_counts_in_and_out():
    gate = Gate(lambda: None, Limits(connections=3, connections_per_peer=2))
    assert [gate.enter(peer) for peer in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    assert (gate.connections, gate.refused) == (3, 2)
    gate.leave("a")
    assert gate.enter("c")
    for peer in ("a", "b", "c"):
        gate.leave(peer)
    assert gate.connections == 0
