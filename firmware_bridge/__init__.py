"""The serial line card: the wire protocol, the client of the gateway, and a simulated card."""

from firmware_bridge.card import (
    Button,
    CardDown,
    CardEvent,
    CardStats,
    CardUp,
    Digit,
    Flash,
    Hook,
    LampState,
    LineCard,
)
from firmware_bridge.messages import MessageError, ToneProgram, ToneSegment

__all__ = [
    "Button",
    "CardDown",
    "CardEvent",
    "CardStats",
    "CardUp",
    "Digit",
    "Flash",
    "Hook",
    "LampState",
    "LineCard",
    "MessageError",
    "ToneProgram",
    "ToneSegment",
]
