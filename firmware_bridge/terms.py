"""What the two ends must agree on before they talk: the card's identity, the version, the host's lease. Pure."""

from __future__ import annotations

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.link import SILENCE_MS
from firmware_bridge.vocabulary import LeaseAction, ResetCause

LEASE_MIN_MS = 500
LEASE_MAX_MS = 60_000


class HostLease(Struct, frozen=True):
    """How long the host may be silent before the card acts alone, LEASE_MIN_MS to LEASE_MAX_MS, and what it does."""

    ms: int = SILENCE_MS
    action: LeaseAction = LeaseAction.SILENCE

    def __post_init__(self) -> None:
        if not LEASE_MIN_MS <= self.ms <= LEASE_MAX_MS:
            raise ValueError(f"a host lease of {self.ms} ms; {LEASE_MIN_MS} to {LEASE_MAX_MS} are allowed")


class CardIdentity(Struct, frozen=True):
    """What a card says of itself. `boot_id` is random, not 0, new at each start."""

    boot_id: int
    lines: int
    firmware: str
    hardware: str = ""
    capabilities: int = 0
    reset_cause: ResetCause = ResetCause.POWER_ON
    bauds: tuple[int, ...] = ()


def incompatible(peer: m.Hello | m.HelloAck) -> str:
    """Why this end cannot talk with `peer`; empty where it can."""
    if peer.major != m.PROTOCOL_MAJOR:
        return f"the other end speaks protocol {peer.major}.{peer.minor}, this one {m.PROTOCOL_MAJOR}"
    if peer.minor == m.PROTOCOL_MINOR and peer.schema != m.SCHEMA_HASH:
        return f"the other end has message table {peer.schema:08x}, this one {m.SCHEMA_HASH:08x}"
    return ""
