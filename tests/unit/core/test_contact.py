"""What our Contact says: a user part that tells nothing, and where we are seen, without chasing that for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.contact import MAX_CHASES, PATIENCE, Whereabouts, contact_uri, contact_user, parse_place
from agent.core.place import Place
from agent.core.transports import Transport

LOCAL = Place("192.168.1.5", 20001)
PUBLIC = Place("203.0.113.9", 40001)
SERVER = "192.0.2.1"
SEED = b"s" * 16


@pytest.mark.parametrize(
    ("place", "transport", "uri"),
    [
        (LOCAL, Transport.UDP, "sip:x1@192.168.1.5:20001;line=ab;ob"),
        (PUBLIC, Transport.TCP, "sip:x1@203.0.113.9:40001;transport=tcp;line=ab;ob"),
        (Place("2001:db8::2", 5061), Transport.TLS, "sip:x1@[2001:db8::2]:5061;transport=tls;line=ab;ob"),
    ],
)
def test_a_contact_names_the_place_and_the_transport(place, transport, uri):
    assert contact_uri("x1", place, transport, ";line=ab;ob") == uri


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("203.0.113.9:40001", PUBLIC),
        ("2001:DB8:0::2:5061", Place("2001:db8::2", 5061)),
        ("[2001:db8::2]:5061", Place("2001:db8::2", 5061)),
        ("203.0.113.9:0", None),
        ("203.0.113.9:65536", None),
        ("203.0.113.9:1٢", None),
        ("203.0.113.9", None),
        ("0.0.0.0:5060", None),
        ("[::]:5060", None),
        ("224.0.0.1:5060", None),
        ("fe80::1%eth0:5060", None),
        ("gateway.example:5060", None),
        ("203.0.113.9>;expires=0:5060", None),
        ("", None),
    ],
)
def test_a_place_is_an_address_and_a_port_and_nothing_else(text, place):
    assert parse_place(text) == place


@given(st.text(max_size=80))
def test_whatever_is_read_as_a_place_can_be_written_into_a_contact(text):
    place = parse_place(text)
    assert place is None or parse_place(str(place)) == place


def test_the_user_part_is_the_same_at_every_start_and_tells_nothing():
    user = contact_user(SEED, "line1", "4721000001@sip.example.no")
    assert user == contact_user(SEED, "line1", "4721000001@sip.example.no")
    assert len(user) == 21
    assert not user.isdigit()
    assert user.isalnum()
    others = [
        contact_user(b"t" * 16, "line1", "4721000001@sip.example.no"),
        contact_user(SEED, "line2", "4721000001@sip.example.no"),
        contact_user(SEED, "line1", "4721000002@sip.example.no"),
    ]
    assert len({user, *others}) == 4


def test_where_we_are_seen_where_we_say_there_is_nothing_to_do():
    here = Whereabouts()
    assert here.place is None
    here.at(LOCAL)
    assert (here.bound(LOCAL, LOCAL, SERVER), here.place) == (False, LOCAL)
    assert (here.bound(LOCAL, None, SERVER), here.place) == (False, LOCAL), "a server that says nothing is believed"


def test_behind_a_router_the_contact_is_put_right_once():
    here = Whereabouts()
    here.at(LOCAL)
    assert (here.bound(LOCAL, PUBLIC, SERVER), here.place) == (True, PUBLIC)
    assert [here.bound(PUBLIC, PUBLIC, SERVER) for _ in range(5)] == [False] * 5
    here.at(LOCAL)
    assert here.place == PUBLIC, "the same way out is no news"


def test_a_new_address_or_port_of_our_own_starts_anew():
    here = Whereabouts()
    here.at(LOCAL)
    here.bound(LOCAL, PUBLIC, SERVER)
    for moved in (Place("192.168.1.6", LOCAL.port), Place("192.168.1.6", 20002)):
        here.at(moved)
        assert here.place == moved


def test_another_connection_is_another_way_and_yet_no_reason_to_register_for_ever():
    here = Whereabouts()
    here.at(LOCAL)
    here.connected(Place(LOCAL.address, 1))
    assert here.place == Place(LOCAL.address, 1)
    assert here.bound(here.place, PUBLIC, SERVER)
    here.connected(Place(LOCAL.address, 1))
    assert here.place == PUBLIC, "the same connection is no news"
    more = 0
    for port in range(2, 2 + PATIENCE):
        # A server that closes the connection after each answer.
        here.connected(Place(LOCAL.address, port))
        said = here.place
        assert said == Place(LOCAL.address, port)
        more += here.bound(said, Place(PUBLIC.address, port), SERVER)
    assert more == MAX_CHASES - 1


def test_what_one_target_sees_is_the_first_guess_of_what_another_will_see():
    other = Whereabouts()
    other.at(LOCAL, PUBLIC)
    assert other.place == PUBLIC
    other.at(LOCAL, Place("203.0.113.9", 1))
    assert other.place == PUBLIC, "the same way out is no news"
    assert other.bound(PUBLIC, LOCAL, SERVER), "a target in the house sees us where we are"
    assert other.place == LOCAL


def test_an_answered_options_tells_before_the_next_register_does():
    here = Whereabouts()
    here.at(LOCAL)
    here.noticed(PUBLIC, SERVER)
    assert here.place == PUBLIC
    assert not here.bound(PUBLIC, PUBLIC, SERVER)
    here.noticed(None, SERVER)
    assert here.place == PUBLIC


def hopping(here, said, count, first=50_000):
    """REGISTERs through a router that gives a new port for each: how many more it makes."""
    more = 0
    for port in range(first, first + count):
        if here.bound(said, Place(PUBLIC.address, port), SERVER):
            more += 1
            said = here.place
    return more, said


def test_a_router_with_a_new_port_for_every_request_makes_no_loop_of_registers():
    here = Whereabouts()
    here.at(LOCAL)
    more, said = hopping(here, LOCAL, PATIENCE)
    assert more == MAX_CHASES
    assert here.place == said, "what is registered stays registered"
    here.noticed(Place(PUBLIC.address, 7), SERVER)
    assert here.place == said
    more, _ = hopping(here, said, 10 * PATIENCE, 60_000 - 10 * PATIENCE)
    assert more == 10, "now and then it is tried once more"


def test_after_a_router_has_come_to_its_senses_its_next_move_is_followed_again():
    here = Whereabouts()
    here.at(LOCAL)
    _, said = hopping(here, LOCAL, 5)
    assert not here.bound(said, said, SERVER)
    assert here.bound(said, PUBLIC, SERVER)
    assert here.place == PUBLIC


@pytest.mark.parametrize(
    ("local", "server", "seen", "followed"),
    [
        # A balancer of the operator's stands between us and the registrar.
        ("8.8.4.4", "9.9.9.9", "10.0.0.7", False),
        ("192.168.1.5", "9.9.9.9", "10.0.0.7", True),
        ("192.168.1.5", "10.1.1.1", "10.0.0.7", True),
        ("8.8.4.4", "9.9.9.9", "8.8.8.8", True),
        ("2a00::5", "2a00::1", "fd00::7", False),
        ("2a00::5", "2a00::1", "2a00::7", True),
    ],
)
def test_nobody_on_the_internet_sees_us_at_a_private_address(local, server, seen, followed):
    here = Whereabouts()
    own, place = Place(local, 5060), Place(seen, 5060)
    here.at(own)
    here.noticed(place, server)
    assert here.place == (place if followed else own)
    assert here.bound(own, place, server) is followed


PLACES = st.builds(Place, st.sampled_from(["203.0.113.9", "203.0.113.10", "192.168.1.5"]), st.integers(1, 4))


@given(st.lists(PLACES, max_size=200))
def test_however_a_router_behaves_there_are_never_more_than_three_registers_in_a_row(seen):
    here = Whereabouts()
    here.at(LOCAL)
    said, row = LOCAL, 0
    for place in seen:
        here.noticed(place, SERVER)
        again = here.bound(said, place, SERVER)
        row = row + 1 if again else 0
        assert row <= MAX_CHASES
        if again:
            assert here.place == place
            said = place
        else:
            assert here.place == said
