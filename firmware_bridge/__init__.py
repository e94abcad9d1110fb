"""The serial line card: the wire protocol, the client of the gateway, and a simulated card."""

from firmware_bridge.caller_id import Absence, Caller, call_setup, dtmf
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
from firmware_bridge.messages import MeasuredValue, MessageError, SetProfile, ToneProgram, ToneSegment
from firmware_bridge.terms import HostLease
from firmware_bridge.update import Phase, Progress
from firmware_bridge.vocabulary import (
    Capability,
    CidPlacement,
    CidStandard,
    Conductors,
    LeaseAction,
    LineProfile,
    LineTest,
    LineTestStatus,
    RingWave,
    Unit,
)

__all__ = [
    "Absence",
    "Button",
    "Caller",
    "Capability",
    "CardDown",
    "CardEvent",
    "CardStats",
    "CardUp",
    "CidPlacement",
    "CidStandard",
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
    "LineProfile",
    "LineTest",
    "LineTestStatus",
    "LineTested",
    "MeasuredValue",
    "MessageError",
    "Phase",
    "Progress",
    "RingWave",
    "SetProfile",
    "SpeechFrame",
    "ToneProgram",
    "ToneSegment",
    "Unit",
    "call_setup",
    "dtmf",
    "parse_image",
    "parse_public_key",
    "verify_image",
]
