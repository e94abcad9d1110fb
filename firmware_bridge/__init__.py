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
    LineTested,
    SpeechFrame,
)
from firmware_bridge.image import FirmwareImage, ImageError, parse_image, parse_public_key, verify_image
from firmware_bridge.messages import MeasuredValue, MessageError, ToneProgram, ToneSegment
from firmware_bridge.terms import HostLease
from firmware_bridge.update import Phase, Progress
from firmware_bridge.vocabulary import Capability, Conductors, LeaseAction, LineTest, LineTestStatus, Unit

__all__ = [
    "Button",
    "Capability",
    "CardDown",
    "CardEvent",
    "CardStats",
    "CardUp",
    "Conductors",
    "Digit",
    "FirmwareImage",
    "Flash",
    "Hook",
    "HostLease",
    "ImageError",
    "LampState",
    "LeaseAction",
    "LineCard",
    "LineTest",
    "LineTestStatus",
    "LineTested",
    "MeasuredValue",
    "MessageError",
    "Phase",
    "Progress",
    "SpeechFrame",
    "ToneProgram",
    "ToneSegment",
    "Unit",
    "parse_image",
    "parse_public_key",
    "verify_image",
]
