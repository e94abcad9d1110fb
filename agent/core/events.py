"""What happens to the telephone: what the Switch is told.

Lines are numbered from 0. Times are milliseconds of the monotonic boot clock (`CLOCK_BOOTTIME`), passed beside an
event, never inside it unless the field says so.
"""

from __future__ import annotations

from msgspec import Struct

from agent.core.caller import CallerId
from agent.core.codecs import G711
from agent.core.diversion import Diverted
from agent.core.linetest import LineTestEnding, LineTestKind, Measure
from agent.core.media import MediaStats, Way
from agent.core.quality import Figures
from agent.core.redirect import Elsewhere
from agent.core.terms import NetworkChange
from agent.core.update import UpdateProgress

# --- events: the line card -------------------------------------------------------------------------------------------


class CardUp(Struct, frozen=True):
    """The line card answered HELLO; every line is idle, and the handsets of `off_hook` are lifted."""

    lines: int
    firmware: str
    line_test: bool = False
    firmware_update: bool = False
    off_hook: tuple[int, ...] = ()


class CardDown(Struct, frozen=True):
    """The line card is gone or restarted; `reason` is a sentence for a technician."""

    reason: str


class OffHook(Struct, frozen=True):
    """The handset of `line` was lifted."""

    line: int


class OnHook(Struct, frozen=True):
    """The handset of `line` was replaced, at `at_ms` of the boot clock (0: not known) by the card's own clock."""

    line: int
    at_ms: int = 0


class DigitDialled(Struct, frozen=True):
    """One complete digit: `0`-`9`, `*`, `#` or `A`-`D`."""

    line: int
    digit: str


class HookFlash(Struct, frozen=True):
    """The register-recall button, or a hook press inside the flash window."""

    line: int


class ButtonPressed(Struct, frozen=True):
    """The adapter's button was released after `held_ms`."""

    held_ms: int


class LineTested(Struct, frozen=True):
    """The card has ended one test of `line`."""

    line: int
    test: LineTestKind
    ending: LineTestEnding
    measures: tuple[Measure, ...] = ()


class UpdateProgressed(Struct, frozen=True):
    """A firmware update of the card has come further, or ended."""

    progress: UpdateProgress


# --- events: SIP -----------------------------------------------------------------------------------------------------


class SipReady(Struct, frozen=True):
    """The SIP library is up. `max_calls` is what the library says of itself, `version` its own text."""

    max_calls: int
    version: str
    local_port: int
    codecs: tuple[str, ...] = G711
    """What the library has of the codecs that can be listed."""


class Registered(Struct, frozen=True):
    """The registrar accepted `account` for `expires_s` seconds.

    `seen_as`: the address and port that the REGISTER was seen to come from (RFC 3581 §4); empty where it was not said.
    """

    account: str
    expires_s: int
    seen_as: str = ""


class Unregistered(Struct, frozen=True):
    """The registrar confirmed that `account` is no longer registered."""

    account: str


class RegistrationFailed(Struct, frozen=True):
    """A REGISTER did not succeed. `on_wire` false: no response was received, `code` is the library's own."""

    account: str
    code: int
    reason: str
    on_wire: bool
    retry_after_s: int | None = None


class NetworkChanged(Struct, frozen=True):
    """The network is not what it was: what failed a moment ago may work now."""

    change: NetworkChange


class PathProbed(Struct, frozen=True):
    """The end of a `ProbePath`: `alive` where any response came back from the wire; `seen_as` as in `Registered`."""

    account: str
    alive: bool
    seen_as: str = ""


class RequestSeen(Struct, frozen=True):
    """A request has come to the contact of `account`: the way from the operator to us is open. Told now and then."""

    account: str


class TargetAnswered(Struct, frozen=True):
    """A target of `account` has answered an OPTIONS that `ProbeTarget` asked for on behalf of `call_id`."""

    call_id: str
    account: str
    target: int


class IncomingInvite(Struct, frozen=True):
    """An INVITE has arrived and waits for `Ringing`, `Answer` or `Reject`."""

    call_id: str
    account: str
    caller: CallerId
    called: str
    """The Request-URI's user part; empty where that only repeats our contact, which is the same for every number."""
    source: str
    called_party: str = ""
    """User part of P-Called-Party-ID (RFC 7315 §4.2)."""
    addressed: str = ""
    """User part of To."""
    diverted_from: str = ""
    """Whom the caller had called before he was sent here (a user part), where the operator may say so."""
    diversions: tuple[Diverted, ...] = ()
    """From where it was sent on until it came here, the latest first, whoever says so."""
    bound: bool = False
    """Whether it was sent to the contact of `account`; otherwise the account is the library's guess."""
    alert: tuple[str, ...] = ()
    """What Alert-Info asks for, in words: see `core.alerting`."""


class Progress(Struct, frozen=True):
    """A provisional response (180, 183); `early_media` says that sound already comes from the far end."""

    call_id: str
    code: int
    early_media: bool


class CallAnswered(Struct, frozen=True):
    """200 OK and ACK: speech flows. `at_ms` is the boot time at which the answer was seen on the wire."""

    call_id: str
    at_ms: int


class CallOver(Struct, frozen=True):
    """The SIP call is gone. `code`: last status (0: none); `on_wire`: a peer sent it; `remote`: the peer ended it."""

    call_id: str
    code: int
    reason: str
    remote: bool
    on_wire: bool
    stats: MediaStats | None = None
    contacts: tuple[Elsewhere, ...] = ()
    """Where a redirection (3xx) sends the call, the preferred one first."""


class DtmfReceived(Struct, frozen=True):
    """The far end pressed a key: the beginning of a telephone-event (RFC 4733)."""

    call_id: str
    digit: str


class AnnouncementOver(Struct, frozen=True):
    """The announcement number `take` of `line` has been heard to its end, or could not be played at all."""

    line: int
    take: int


class HoldDone(Struct, frozen=True):
    """The end of a `Hold` (`held`) or a `Resume`: `ok` where the far end has agreed to it, or need not be asked."""

    call_id: str
    held: bool
    ok: bool


class RemoteHold(Struct, frozen=True):
    """The far end has put us on hold, or is back (RFC 3264 §8.4)."""

    call_id: str
    held: bool


class TransferProgress(Struct, frozen=True):
    """What is known of a `Transfer` or `TransferTo` (RFC 3515 §2.4.5).

    `code`: the newest status of the new call by NOTIFY, or the refusal of the REFER itself (0: neither, and none will
    come). `final`: no more will be told. The calls are still up: whoever asked for the transfer hangs them up.
    """

    call_id: str
    code: int
    final: bool


class MessagesWaiting(Struct, frozen=True):
    """The operator's mailbox of `account` holds so many new and old voice messages (RFC 3842)."""

    account: str
    new: int
    old: int


class CallSampled(Struct, frozen=True):
    """How an answered call sounds at this moment; once a second.

    `silent_ms`: how long nothing at all has come from the far end, although neither side holds the call.
    """

    call_id: str
    figures: Figures
    silent_ms: int = 0


class OneWayAudio(Struct, frozen=True):
    """One direction of an answered call is dead since `since_ms` of the boot clock, or (None) no longer."""

    call_id: str
    way: Way | None
    since_ms: int = 0


class MachineHeard(Struct, frozen=True):
    """The answer tone of a fax machine or modem sounds in the speech of `line`, from either end (ITU-T V.25)."""

    line: int


# --- events: time ----------------------------------------------------------------------------------------------------


class SlotsHeld(Struct, frozen=True):
    """How many call slots the SIP library holds for calls that the Switch does not know, or no longer: transactions of
    hung-up calls that nobody has answered yet (RFC 3261 §9.1, §17.1). Strangers being refused yield theirs to any call.
    """

    count: int


class Tick(Struct, frozen=True):
    """Nothing happened but time: a deadline of the Switch may be due."""


TelephoneEvent = (
    CardUp | CardDown | OffHook | OnHook | DigitDialled | HookFlash | ButtonPressed | LineTested
    | UpdateProgressed
    | SipReady | Registered | Unregistered | RegistrationFailed | IncomingInvite | Progress | CallAnswered | CallOver
    | DtmfReceived | MachineHeard | AnnouncementOver | SlotsHeld | NetworkChanged | TargetAnswered | PathProbed
    | RequestSeen | Tick
    | HoldDone | RemoteHold | TransferProgress | MessagesWaiting | CallSampled | OneWayAudio
)  # fmt: skip
