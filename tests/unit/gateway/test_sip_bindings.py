"""What a registrar's answer tells of our bindings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.bindings import MAX_LEFTOVERS, Ours, came_from, leftovers, seen_as


def ours(*standing, port=20001):
    return Ours("xabc", "00c0ffee", port, frozenset(standing))


def answer(*contacts):
    lines = "".join(f"Contact: {contact}\r\n" for contact in contacts)
    return f"SIP/2.0 200 OK\r\n{lines}\r\nContact: <sip:xabc@192.0.2.1:1;line=00c0ffee;p=1>"


HERE = "<sip:xabc@192.0.2.9:4711;line=00c0ffee;p=20001;ob>;expires=60"


def test_of_our_bindings_the_one_where_we_are_lives_and_all_others_are_left_over():
    message = answer(
        f"{HERE}, <sip:xabc@192.0.2.8:20001;line=00c0ffee;p=20001;ob>;expires=9",
        # A platform that drops parameters, and one that writes the number into the user part.
        "<sip:xabc@192.0.2.7:20001>",
        "<sip:+4721000001@192.0.2.6:20001;line=00c0ffee>",
        "<sip:softphone@192.0.2.9:5060>;expires=60",
        "<sip:xabcd@192.0.2.5:1;line=deadbeef;p=20001>",
    )
    assert leftovers(message, ours("192.0.2.9:4711")) == (
        "sip:xabc@192.0.2.8:20001;line=00c0ffee;p=20001;ob", "sip:xabc@192.0.2.7:20001",
        "sip:+4721000001@192.0.2.6:20001;line=00c0ffee",
    )  # fmt: skip


def test_what_an_earlier_version_has_bound_at_the_same_place_would_ring_twice():
    earlier = "sip:4721000001@192.0.2.9:4711;line=00c0ffee;p=20001;ob"
    assert leftovers(answer(HERE, f"<{earlier}>"), ours("192.0.2.9:4711")) == (earlier,)


def test_what_the_contact_said_and_what_it_says_now_both_stand_until_it_has_been_put_right():
    local = "<sip:xabc@192.168.0.2:20001;line=00c0ffee;p=20001;ob>"
    dead = "sip:xabc@192.0.2.8:1;line=00c0ffee;p=20001"
    message = answer(HERE, local, f"<{dead}>")
    assert leftovers(message, ours("192.0.2.9:4711", "192.168.0.2:20001")) == (dead,)


def test_where_a_router_shows_our_binding_at_another_place_the_local_port_tells_it():
    message = answer(HERE, "<sip:xabc@192.0.2.9:7;line=00c0ffee;p=20002;ob>;expires=9")
    assert leftovers(message, ours("192.168.0.2:20001")) == ("sip:xabc@192.0.2.9:7;line=00c0ffee;p=20002;ob",)


def test_ipv6_places_are_compared_as_addresses():
    message = answer("<sip:xabc@[2001:DB8::0:2]:5060;line=00c0ffee;p=20001>", "<sip:xabc@[2001:db8::3]:5060>")
    assert leftovers(message, ours("[2001:db8::2]:5060")) == ("sip:xabc@[2001:db8::3]:5060",)


@given(st.text(max_size=2000))
def test_no_contact_breaks_the_reader(text):
    message = f"SIP/2.0 200 OK\r\nContact: {text}\r\n\r\n"
    assert len(leftovers(message, ours("192.0.2.9:4711"))) <= MAX_LEFTOVERS


@pytest.mark.parametrize(
    ("via", "place"),
    [
        ("SIP/2.0/UDP 192.168.0.2:5060;branch=z9hG4bK1;rport=4711;received=192.0.2.9", "192.0.2.9:4711"),
        ("SIP/2.0/UDP 192.0.2.9:4711;received=192.0.2.9 ; rport=4711;branch=z9hG4bK1", "192.0.2.9:4711"),
        ("SIP/2.0/UDP 192.0.2.9:4711;rport=4711;branch=z9hG4bK1", "192.0.2.9:4711"),
        ("SIP/2.0/UDP [2001:DB8::2]:5060;rport=5060;received=2001:db8::2;branch=z9hG4bK1", "2001:db8::2:5060"),
        ("SIP/2.0/UDP 192.0.2.9:1;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.8;rport=2;received=192.0.2.7", ""),
        ("SIP/2.0/UDP 192.0.2.9:4711;rport;branch=z9hG4bK1", ""),
        ("nonsense", ""),
    ],
)
def test_where_we_are_seen_is_in_our_via(via, place):
    assert seen_as(f"SIP/2.0 200 OK\r\nv: {via}\r\nCSeq: 1 OPTIONS\r\n\r\n") == place


@pytest.mark.parametrize(
    ("via", "place"),
    [
        ("SIP/2.0/TCP 192.168.0.2:41000;branch=z9hG4bK1;rport=7;received=192.0.2.9", "192.0.2.9:7"),
        ("SIP/2.0/TCP 192.168.0.2:41000;rport;branch=z9hG4bK1", "192.168.0.2:41000"),
        ("SIP/2.0/TLS [2001:DB8::2]:41000;branch=z9hG4bK1", "2001:db8::2:41000"),
        # Seen from elsewhere, and it does not say at which port.
        ("SIP/2.0/TCP 192.168.0.2:41000;branch=z9hG4bK1;received=192.0.2.9", ""),
        ("SIP/2.0/TCP 192.168.0.2;branch=z9hG4bK1", ""),
        ("SIP/2.0/UDP 192.168.0.2:20001;rport;branch=z9hG4bK1", ""),
        ("nonsense", ""),
    ],
)
def test_of_a_connection_our_own_via_tells_the_port_where_the_server_adds_nothing(via, place):
    assert came_from(f"SIP/2.0 200 OK\r\nVia: {via}\r\nCSeq: 1 OPTIONS\r\n\r\n") == place


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@given(text=st.text(max_size=2000))
def test_no_via_breaks_the_reader(transport, text):
    message = f"SIP/2.0 200 OK\r\nVia: SIP/2.0/{transport} {text}\r\n\r\n"
    assert len(seen_as(message)) <= 300
    assert len(came_from(message)) <= 300
