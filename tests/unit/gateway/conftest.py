"""A configured telephone for the tests of the Switch and of the fake gateway."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import msgspec
import pytest

from agent.data import load_services, load_tones
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import Account, Configure, DigitMap, Line, NumberFormat, Route
from agent.paths import data_dir


def _toml(name: str) -> dict[str, object]:
    return tomllib.loads((data_dir() / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def configuration() -> Configure:
    """Two lines on an account with two targets, and a second account with one target."""
    numbering, tones = _toml("numbering.toml"), load_tones()
    first = Account(
        id="home", user="u1", domain="example.net", auth_user="u1", password="secret",
        targets=["192.0.2.1:5060;transport=udp", "192.0.2.2:5060;transport=udp"],
    )  # fmt: skip
    second = Account(
        id="other", user="u2", domain="example.net", auth_user="u2", password="secret",
        targets=["192.0.2.3:5060;transport=udp"],
    )  # fmt: skip
    return Configure(
        revision="1",
        accounts=[first, second],
        lines=[
            Line(line=0, account="home", number="+4722000001"),
            Line(line=1, account="home", number="+4722000002"),
        ],
        routes=[
            Route(number="+4722000001", account="home", lines=[0]),
            Route(number="+4722000002", account="home", lines=[0, 1]),
        ],
        digit_map=msgspec.convert(numbering["digit_map"], DigitMap),
        tones=tones.tones,
        ring_cadence_ms=list(tones.ring_cadence_ms),
        analogue=tones.analogue,
        services=load_services(),
        numbers=msgspec.convert(numbering["numbers"], NumberFormat),
    )


@pytest.fixture
def make_gateway(configuration: Configure) -> Callable[..., FakeGateway]:
    """A gateway as it stands in a home: configured, registered, an agent connected, handsets down."""

    def make(*, agent: bool = True, **options: object) -> FakeGateway:
        gateway = FakeGateway(**options)
        gateway.connect()
        gateway.send(configuration)
        if not agent:
            gateway.disconnect()
        return gateway

    return make


@pytest.fixture
def gateway(make_gateway: Callable[..., FakeGateway]) -> FakeGateway:
    return make_gateway()
