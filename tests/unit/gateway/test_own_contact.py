"""The Contact of one account: towards each target what that one sees. Of its bindings only one leads here."""

from __future__ import annotations

import pytest

from agent.core.place import Place
from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway.daemon.sip.own_contact import OwnContact

FIRST, SECOND = Target("192.0.2.1", 5060), Target("192.0.2.2", 5060)
STREAM = Target("192.0.2.3", 5060, Transport.TCP)
LOCAL = Place("192.168.1.5", 20001)
SEEN = Place("203.0.113.9", 4711)


def answer(seen=SEEN, *bindings, transport="UDP"):
    contacts = "".join(f"Contact: <{uri}>;expires=60\r\n" for uri in bindings)
    via = f"SIP/2.0/{transport} 192.168.1.5:20001;rport={seen.port};received={seen.address};branch=z9hG4bK1"
    return f"SIP/2.0 200 OK\r\nVia: {via}\r\n{contacts}\r\n"


def uri(contact, target=FIRST):
    return contact.header(target, LOCAL.port).strip("<>")


@pytest.fixture
def contact():
    made = OwnContact("line1", "4721000001@sip.example.no", b"s" * 16)
    made.look(FIRST, LOCAL)
    return made


def test_it_says_neither_number_nor_account_and_where_we_are(contact):
    assert uri(contact) == f"sip:{contact.user}@192.168.1.5:20001;line={contact.token};p=20001;ob"
    assert not any(word in contact.header(FIRST, LOCAL.port) for word in ("1000001", "line1", "example"))


def test_without_a_way_to_the_target_the_library_writes_what_it_can():
    made = OwnContact("line1", "a@b", b"s" * 16)
    assert (made.look(FIRST, None), made.header(FIRST, 5060)) == (None, "")


def test_another_target_by_the_same_way_is_told_what_the_first_has_seen_and_a_connection_has_its_own(contact):
    contact.answered(FIRST, answer())
    assert contact.place(FIRST) == SEEN
    assert contact.look(SECOND, LOCAL) == SEEN
    contact.look(STREAM, Place(LOCAL.address, 30001))
    contact.connected(STREAM, Place(LOCAL.address, 41000))
    assert "@192.168.1.5:41000;transport=tcp;" in uri(contact, STREAM)
    contact.keep([FIRST])
    assert contact.place(SECOND) is None


def test_what_one_account_has_learned_another_one_heeds_where_both_send_by_the_same_way(contact):
    other, elsewhere = (OwnContact(name, "a@b", b"s" * 16) for name in ("line2", "line3"))
    other.look(FIRST, LOCAL)
    elsewhere.look(FIRST, Place(LOCAL.address, 20002))
    contact.answered(FIRST, answer())
    for one in (other, elsewhere):
        one.heed(contact, FIRST)
        one.heed(contact, SECOND)
    assert (other.place(FIRST), elsewhere.place(FIRST)) == (SEEN, Place(LOCAL.address, 20002))


def test_a_wrong_place_is_put_right_and_each_dead_binding_told_once_as_long_as_it_is_listed(contact):
    contact.said = contact.place(FIRST)
    local = uri(contact)
    dead = f"sip:4721000001@203.0.113.8:1;line={contact.token};p=1"
    assert contact.bound(FIRST, answer(SEEN, local, dead), LOCAL.port) == ((dead,), True)
    contact.said = contact.place(FIRST)
    assert contact.said == SEEN
    right = uri(contact)
    assert contact.bound(FIRST, answer(SEEN, right, dead), LOCAL.port) == ((), False)
    assert contact.bound(FIRST, answer(SEEN, right), LOCAL.port) == ((), False)
    assert contact.bound(FIRST, answer(SEEN, right, dead), LOCAL.port) == ((dead,), False), "it has come back"
