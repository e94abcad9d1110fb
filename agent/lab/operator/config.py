"""What the lab operator is told when it starts: device, users, numbers, subscription, files."""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.core.numbers import EMERGENCY, normalise
from agent.lab.operator.digest import Algorithm
from agent.operator.api import Amount, CostLimits, MinutePack, Name, Number, OutgoingLine, SipProfile

_MAX_CONFIG = 1 << 20

Secret = Annotated[str, Meta(min_length=8, max_length=256)]
Dialled = Annotated[str, Meta(min_length=1, max_length=32)]


class LabConfigError(Exception):
    """The configuration cannot be used; the sentence names the field."""


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class LabDevice(_Section, frozen=True, kw_only=True):
    """The adapter's identity towards the HTTP API."""

    id: Name
    secret: Secret

    def __repr__(self) -> str:
        return f"LabDevice(id={self.id!r}, secret=hidden)"


class LabUser(_Section, frozen=True, kw_only=True):
    """A SIP user: the user part of its address of record, its credential, its numbers (the first one is shown)."""

    user: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    password: Secret
    auth_user: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    """Name in the digest credential; empty: the same as `user`."""
    numbers: Annotated[list[Dialled], Meta(max_length=32)] = []
    algorithms: Annotated[list[Algorithm], Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: [Algorithm.MD5]
    )
    """Challenged in this order. MD5 alone by default: some user agents give up when SHA-256 is offered at all."""

    def __repr__(self) -> str:
        return f"LabUser(user={self.user!r}, password=hidden)"

    @property
    def digest_user(self) -> str:
        """The name in the digest credential."""
        return self.auth_user or self.user


class LabSubscription(_Section, frozen=True, kw_only=True):
    """What the customer has. `registrations` names users; targets and price list are filled in at run time."""

    customer: Name
    product: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]
    registrations: Annotated[list[Name], Meta(max_length=32)]
    numbers: Annotated[list[Number], Meta(max_length=64)]
    lines: Annotated[list[OutgoingLine], Meta(max_length=16)]
    revision: Name = "1"
    profile: SipProfile = SipProfile(boot_spread_s=0, options_s=0)
    packs: Annotated[list[MinutePack], Meta(max_length=64)] = []
    limits: CostLimits = CostLimits()
    prepaid: bool = False
    paid_in: Amount = "0"
    """Prepaid money, before any call; what calls have cost is taken from it."""
    active: bool = True
    expires_s: Annotated[int, Meta(ge=10, le=86_400)] = 300


class LabConfig(_Section, frozen=True, kw_only=True):
    """The whole configuration. Paths are absolute, or relative to the configuration file's folder."""

    device: LabDevice
    users: Annotated[list[LabUser], Meta(min_length=1, max_length=256)]
    subscription: LabSubscription
    ledger: Annotated[str, Meta(min_length=1, max_length=4096)]
    """SQLite file of the received records."""
    emergency_user: str = ""
    """User that answers 110, 112, 113 and 1412; empty: those numbers answer 404."""
    routes: dict[Dialled, str] = {}
    """More numbers (short numbers, foreign destinations) and the users that answer them."""
    price_list: str = ""
    """File served as the price list; empty: the shipped list of the product."""
    host: str = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    sip_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    domain: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,128}$")] = "lab.iplink.invalid"
    """SIP domain, and realm of the digest challenges."""
    min_expires_s: Annotated[int, Meta(ge=1, le=3600)] = 10
    max_expires_s: Annotated[int, Meta(ge=10, le=86_400)] = 3600
    session_check_s: Annotated[int, Meta(ge=1, le=3600)] = 30
    """How often both ends of a call are asked whether they still live; a dead end ends the call."""
    nonce_lifetime_s: Annotated[int, Meta(ge=1, le=3600)] = 60


def check(config: LabConfig) -> LabConfig:
    """Return the configuration if it is consistent; raise LabConfigError naming the field otherwise."""
    _check_loopback(config.host)
    names = {user.user for user in config.users}
    if len(names) != len(config.users) or len({user.digest_user for user in config.users}) != len(config.users):
        raise LabConfigError("users: every user and every auth_user must be there once only")
    owners: dict[str, str] = {}
    for user in config.users:
        for number in user.numbers:
            _claim(owners, number, user.user, f"users.{user.user}.numbers")
    for number, name in config.routes.items():
        _claim(owners, number, name, "routes")
        if name not in names:
            raise LabConfigError(f"routes: there is no user {name}")
    if config.emergency_user and config.emergency_user not in names:
        raise LabConfigError(f"emergency_user: there is no user {config.emergency_user}")
    _check_subscription(config.subscription, names)
    return config


def load(path: Path) -> LabConfig:
    """Read and check a configuration, TOML or JSON by its suffix. Raises LabConfigError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LabConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > _MAX_CONFIG:
        raise LabConfigError(f"{path} is larger than {_MAX_CONFIG} bytes")
    try:
        if path.suffix == ".toml":
            config = msgspec.toml.decode(raw, type=LabConfig)
        else:
            config = msgspec.json.decode(raw, type=LabConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LabConfigError(f"{path}: {error}") from error
    return check(_with_absolute_paths(config, path.resolve().parent))


def save(config: LabConfig, path: Path) -> None:
    """Write a configuration as JSON, readable by its owner only: it holds passwords."""
    body = msgspec.json.format(msgspec.json.encode(config), indent=2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)


def lab_config(folder: Path, *, product: str, lines: int = 1, price_list: Path | None = None) -> LabConfig:
    """Return a whole small world with fresh secrets.

    One adapter (user `adapter`, one number per line), two people to call (`kari` 22 34 56 78, `ola` 912 34 567), an
    emergency centre (`nodsentral`), directory enquiries (1881) and a foreign party (+46 8 123 456 00).
    The ledger lies in `folder`.
    """
    own = [f"+47210000{line + 1:02d}" for line in range(lines)]
    return check(
        LabConfig(
            device=LabDevice(id="lab-adapter", secret=secrets.token_urlsafe(24)),
            users=[
                LabUser(user="adapter", password=secrets.token_urlsafe(18), numbers=list(own)),
                LabUser(user="kari", password=secrets.token_urlsafe(18), numbers=["+4722345678"]),
                LabUser(user="ola", password=secrets.token_urlsafe(18), numbers=["+4791234567"]),
                LabUser(user="nodsentral", password=secrets.token_urlsafe(18)),
            ],
            subscription=LabSubscription(
                customer="Lab Household",
                product=product,
                registrations=["adapter"],
                numbers=[
                    Number(number=number, registration="adapter", lines=[line]) for line, number in enumerate(own)
                ],
                lines=[
                    OutgoingLine(line=line, registration="adapter", number=number) for line, number in enumerate(own)
                ],
            ),
            ledger=str(folder / "ledger.sqlite"),
            emergency_user="nodsentral",
            routes={"1881": "kari", "+46812345600": "ola"},
            price_list="" if price_list is None else str(price_list),
        )
    )


def _check_loopback(host: str) -> None:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError as error:
        raise LabConfigError(f"host: {host} is not an IPv4 address") from error
    if not address.is_loopback:
        raise LabConfigError(f"host: {host} is not a loopback address; the lab operator never serves a network")


def _claim(owners: dict[str, str], number: str, user: str, field: str) -> None:
    canonical = normalise(number)
    if canonical in EMERGENCY:
        raise LabConfigError(f"{field}: {canonical} is an emergency number; name its user in emergency_user")
    if owners.setdefault(canonical, user) != user:
        raise LabConfigError(f"{field}: a number belongs to both {owners[canonical]} and {user}")


def _check_subscription(subscription: LabSubscription, names: set[str]) -> None:
    for name in subscription.registrations:
        if name not in names:
            raise LabConfigError(f"subscription.registrations: there is no user {name}")
    known = set(subscription.registrations)
    for field, named in (
        ("numbers", [number.registration for number in subscription.numbers]),
        ("lines", [line.registration for line in subscription.lines]),
    ):
        for name in named:
            if name not in known:
                raise LabConfigError(f"subscription.{field}: {name} is not among the registrations")


def _with_absolute_paths(config: LabConfig, folder: Path) -> LabConfig:
    price_list = str(folder / config.price_list) if config.price_list else ""
    return msgspec.structs.replace(config, ledger=str(folder / config.ledger), price_list=price_list)
