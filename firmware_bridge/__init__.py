"""The serial line card: the wire protocol, the client of the gateway, and a simulated card."""

from firmware_bridge.card import LineCard
from firmware_bridge.card_events import (
    Button,
    CardDown,
    CardEvent,
    CardStats,
    CardUp,
    Digit,
    Flash,
    Hook,
    LampState,
    SpeechFrame,
)
from firmware_bridge.messages import MessageError, ToneProgram, ToneSegment
from firmware_bridge.terms import HostLease
from firmware_bridge.vocabulary import Capability, LeaseAction

__all__ = [
    "Button",
    "Capability",
    "CardDown",
    "CardEvent",
    "CardStats",
    "CardUp",
    "Digit",
    "Flash",
    "Hook",
    "HostLease",
    "LampState",
    "LeaseAction",
    "LineCard",
    "MessageError",
    "SpeechFrame",
    "ToneProgram",
    "ToneSegment",
]
