"""The words of the line-card link: enumerations and bit sets; their numbers are part of the schema."""

from __future__ import annotations

import enum


class Kind(enum.IntEnum):
    """What a frame is for, and with that how it is carried: CMD, RSP and EVT reliably, the others at most once."""

    LINK = 0
    CMD = 1
    RSP = 2
    EVT = 3
    AUDIO = 4
    LOG = 5


class Direction(enum.Enum):
    """Who may send a message."""

    TO_CARD = "to_card"
    TO_HOST = "to_host"
    BOTH = "both"


class Status(enum.IntEnum):
    """How a command ended."""

    OK = 0
    UNKNOWN = 1
    INVALID = 2
    BAD_LINE = 3
    BUSY = 4
    OFF_HOOK = 5
    UNSUPPORTED = 6
    FAILED = 7


class ResetCause(enum.IntEnum):
    """Why the card started."""

    POWER_ON = 0
    WATCHDOG = 1
    BROWN_OUT = 2
    SOFTWARE = 3
    PIN = 4
    UPDATE = 5


class Capability(enum.IntFlag):
    """What a card can do beyond a plain line; bits of `HelloAck.capabilities`."""

    DTMF_DECODER = 1
    PULSE_DECODER = 2
    CALLER_ID = 4
    LINE_TEST = 8
    LINE_MEASURE = 16
    POLARITY = 32
    VMWI = 64
    ECHO_CANCELLER = 128
    FIRMWARE_UPDATE = 256
    LAMPS = 512
    BUTTON = 1024
    BAUD_SWITCH = 2048


class NakReason(enum.IntEnum):
    """Why a frame is asked for again."""

    GAP = 0
    CRC = 1


class ResetMode(enum.IntEnum):
    """How far a RESET goes."""

    SOFT = 0
    BOOTLOADER = 1
    LINK_ONLY = 2


class LeaseAction(enum.IntEnum):
    """What the card does when its host has fallen silent, besides ringing and playing nothing."""

    SILENCE = 0
    REORDER = 1


class Linefeed(enum.IntEnum):
    """The battery feed of a line: the eight states of the SLIC families."""

    OPEN = 0
    FORWARD_ACTIVE = 1
    FORWARD_ON_HOOK_TRANSMISSION = 2
    TIP_OPEN = 3
    RINGING = 4
    REVERSE_ACTIVE = 5
    REVERSE_ON_HOOK_TRANSMISSION = 6
    RING_OPEN = 7


class RingWave(enum.IntEnum):
    """The shape of the ringing voltage."""

    SINE = 0
    TRAPEZOID = 1


class LineProfile(enum.IntEnum):
    """What is connected: it decides echo cancelling and fax handling."""

    PHONE = 0
    FAX = 1
    ALARM = 2
    CARD_TERMINAL = 3


class CidStandard(enum.IntEnum):
    """How a caller's number is sent to the telephone (ETSI EN 300 659, Telcordia GR-30)."""

    BELLCORE_FSK = 0
    ETSI_FSK = 1
    DTMF = 2


class CidPlacement(enum.IntEnum):
    """When a caller's number is sent."""

    NOW = 0
    BEFORE_RING = 1
    AFTER_FIRST_RING = 2


class PolarityMode(enum.IntEnum):
    """The polarity of tip and ring."""

    FORWARD = 0
    REVERSE = 1
    WINK = 2


class VmwiMode(enum.IntEnum):
    """How a waiting message is shown."""

    OFF = 0
    FSK = 1
    NEON = 2
    STUTTER_DIAL_TONE = 3


class LineTest(enum.IntFlag):
    """Tests of the outside wiring (GR-909) and of the card itself; bits of `LineTestStart.tests`."""

    HAZARDOUS_VOLTAGE = 1
    FOREIGN_VOLTAGE = 2
    RESISTIVE_FAULT = 4
    RECEIVER_OFF_HOOK = 8
    RINGER_LOAD = 16
    DC_FEED = 32
    RINGING = 64
    LOOPBACK = 128


class LineTestStatus(enum.IntEnum):
    """How a line test ended."""

    OK = 0
    FAIL = 1
    LINE_IN_USE = 2
    TIMEOUT = 3
    ABORTED = 4
    UNSUPPORTED = 5


class Unit(enum.IntEnum):
    """The unit of a measured value."""

    MILLIVOLT = 0
    MICROAMPERE = 1
    OHM = 2
    NANOFARAD = 3
    MILLI_REN = 4
    CENTIDECIBEL = 5
    MILLIVOLT_RMS = 6
    PERMILLE = 7


class Conductors(enum.IntEnum):
    """Between what a value was measured."""

    TIP_RING = 0
    TIP_GROUND = 1
    RING_GROUND = 2


class LoopbackMode(enum.IntEnum):
    """Where speech is turned round."""

    OFF = 0
    DIGITAL = 1
    CODEC = 2


class HookCause(enum.IntEnum):
    """What told the card of a hook change."""

    LOOP = 0
    RING_TRIP = 1


class DigitMethod(enum.IntEnum):
    """How a digit was dialled."""

    DTMF = 0
    PULSE = 1


class DoneResult(enum.IntEnum):
    """How a tone or a caller display ended."""

    COMPLETE = 0
    STOPPED = 1
    OFF_HOOK = 2
    FAILED = 3


class ModemTone(enum.IntEnum):
    """A tone by which machines recognise each other (ITU-T V.8, T.30)."""

    ANSWER_2100 = 0
    ANSWER_2100_REVERSALS = 1
    FAX_CALLING_1100 = 2


class Fault(enum.IntFlag):
    """What may be wrong with a line; bits of `Fault*.faults` and `LineStatus.faults`."""

    THERMAL = 1
    POWER = 2
    CONVERTER = 4
    FOREIGN_VOLTAGE = 8
    RING_FAILURE = 16
    GROUND = 32
    OVER_CURRENT = 64


class FaultAction(enum.IntEnum):
    """What the card did about a fault by itself."""

    NONE = 0
    LINE_OPENED = 1
    RING_STOPPED = 2


class LinefeedCause(enum.IntEnum):
    """Why a line's feed changed."""

    COMMAND = 0
    HOOK = 1
    RINGING = 2
    FAULT = 3
    LEASE = 4


class AudioCodec(enum.IntEnum):
    """The coding of speech frames."""

    PCMU = 0
    PCMA = 8


class AudioDirection(enum.IntFlag):
    """Which way speech flows; bits of `AudioStart.directions`."""

    FROM_LINE = 1
    TO_LINE = 2


class AudioFlag(enum.IntFlag):
    """Level state carried in every speech frame, so that a lost event heals."""

    OFF_HOOK = 1
    DTMF = 2
    SILENCE = 4
    CONCEALED = 8


class LampColour(enum.IntEnum):
    """The colours of a lamp."""

    GREEN = 0
    AMBER = 1
    RED = 2


class LampPattern(enum.IntEnum):
    """How a lamp shines."""

    OFF = 0
    ON = 1
    BLINK = 2
    FLASH = 3


class FirmwareState(enum.IntEnum):
    """How far an update has come. TRIAL: the new image runs and is undone at the next start unless it is confirmed."""

    IDLE = 0
    RECEIVING = 1
    VERIFIED = 2
    ACTIVATING = 3
    CONFIRMED = 4
    ROLLED_BACK = 5
    FAILED = 6
    ERASING = 7
    VERIFYING = 8
    TRIAL = 9


TRIAL_MS = 60_000
"""How long a card waits for new firmware to be confirmed before it returns to the old one."""


class FirmwareError(enum.IntEnum):
    """Why an image was refused or given up."""

    NONE = 0
    HEADER = 1
    PRODUCT = 2
    HARDWARE = 3
    TOO_LARGE = 4
    LENGTH = 5
    HASH = 6
    SIGNATURE = 7
    FLASH = 8
    NOT_CONFIRMED = 9
