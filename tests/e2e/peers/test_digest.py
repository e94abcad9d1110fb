"""Digest by SHA-256 (RFC 7616, RFC 8760): where nothing else is taken, and beside MD5."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from agent.core.terms import CallPhase
from tests.e2e.peers.conftest import Adapter, Kamailio, Subscriber, configuration

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def modern(tmp_path_factory):
    """An operator that checks SHA-256 and nothing else."""
    made = Kamailio(tmp_path_factory.mktemp("modern"), algorithm="SHA-256")
    yield made
    made.close()


@pytest.fixture(scope="module")
def house(modern, tmp_path_factory):
    made = Adapter(tmp_path_factory.mktemp("modern-house"), modern, subscribers(modern))
    yield made.ready()
    made.close()


def subscribers(operator):
    """Two of whom the operator has never heard before."""
    numbers = [f"+4721070{next(_numbers):03d}" for _ in range(2)]
    made = [Subscriber(number.strip("+"), "a secret", number) for number in numbers]
    for one in made:
        operator.know(one.user, one.password)
    return made


def test_who_takes_sha_256_alone_registers_us_and_lets_us_call(house, modern, sipp):
    one = house.subscribers[0]
    assert modern.log.wait(f"digest of {one.user} is right algorithm=SHA-256")
    peer = sipp("answer")
    modern.route("+4722000601", peer.uri)
    phone = house.dial("22000601")
    house.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert house.hears(VOICE_HZ)
    house.rest()
    peer.finish()
    assert modern.log.holding(f"call of {one.user} is his own algorithm=SHA-256")


@pytest.mark.parametrize(
    ("offers", "used"),
    [
        ({"after": "MD5"}, "SHA-256"),
        ({"after": "SHA-256"}, ""),
        # The library lets a later challenge of the realm take the place of one whose nonce is another.
        ({"before": "MD5", "nonces": "two"}, "SHA-256"),
        ({"before": "SHA-256", "nonces": "two"}, ""),
    ],
    ids=["sha-256 first", "md5 first", "sha-256 last", "md5 last"],
)
def test_of_two_algorithms_one_is_answered_at_the_first_attempt(house, modern, operator, offers, used):
    """The first of those that share a nonce, the last of those that do not."""
    server = modern if used else operator
    server.offers(**offers)
    newcomers = subscribers(server)
    wanted = configuration(server, newcomers)
    house.agent.configure(msgspec.structs.replace(wanted, revision=f"{offers}"))
    try:
        assert house.agent.registered(), house.agent.accounts
    finally:
        server.offers()
    for one in newcomers:
        assert server.log.wait(f"digest of {one.user} is right algorithm={used}")
        assert len(server.registers(one.user)) == 2, "one challenge, one answer"
