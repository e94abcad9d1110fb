"""What the telephone does: what the Switch decides. Nothing here does anything; adapters turn actions into the world.

Lines are numbered from 0. Times are milliseconds of the monotonic boot clock (`CLOCK_BOOTTIME`).
"""

from __future__ import annotations

from msgspec import Struct

from agent.core.announcement import Announcement
from agent.core.caller import CallerId
from agent.core.diversion import Diverted
from agent.core.linetest import LineTestKind
from agent.core.terms import Lamp, Tone

# --- actions: the line card ------------------------------------------------------------------------------------------


class Ring(Struct, frozen=True):
    """Ring `line`, showing `caller` (None: a trial, nobody), until `StopRing` or off-hook.

    `cadence`: the name of a ringing of the configuration, empty: the usual one. `when`: what the telephone shows as the
    time, `MMDDhhmm`; empty: nobody knows it.
    """

    line: int
    caller: CallerId | None
    cadence: str = ""
    when: str = ""


class StopRing(Struct, frozen=True):
    """Stop ringing `line`."""

    line: int


class PlayTone(Struct, frozen=True):
    """Play `tone` on `line` until `StopTone`, or for `duration_ms` (0: no limit), over any speech."""

    line: int
    tone: Tone
    duration_ms: int = 0


class StopTone(Struct, frozen=True):
    """Silence whatever tone `line` plays."""

    line: int


class PlayDtmf(Struct, frozen=True):
    """Play one key's two tones on `line`, over any speech."""

    line: int
    digit: str


class Announce(Struct, frozen=True):
    """Say `announcement` on `line` instead of speech, `after_ms` from now; `AnnouncementOver` with `take` follows.

    `take` counts what a line says, so that the end of one announcement is not taken for that of the next. 0: into a
    conversation, whose owner does not wait for the end.
    """

    line: int
    announcement: Announcement
    take: int
    after_ms: int = 0


class StopAnnouncement(Struct, frozen=True):
    """Let `line` fall silent in the middle of an announcement."""

    line: int


class OpenAudio(Struct, frozen=True):
    """Let speech frames of `line` flow between card and bridge."""

    line: int


class CloseAudio(Struct, frozen=True):
    """Stop the speech frames of `line`."""

    line: int


class SetLamp(Struct, frozen=True):
    """Show `lamp` for `line`."""

    line: int
    lamp: Lamp


class StartLineTest(Struct, frozen=True):
    """Do one test on `line`; `closed_loop`: although current flows in it. Its end is told by `LineTested`."""

    line: int
    test: LineTestKind
    closed_loop: bool = False


class AbortLineTest(Struct, frozen=True):
    """Give `line` back to its telephone, whatever is being measured."""

    line: int


class SetAdapterLamp(Struct, frozen=True):
    """Let the adapter's own lamp, which belongs to no line, show `lamp`."""

    lamp: Lamp


class StartUpdate(Struct, frozen=True):
    """Write the image that was offered under `request` to the card; `forced`: also an older one, or the same again."""

    request: str
    forced: bool = False


class AbortUpdate(Struct, frozen=True):
    """Leave the card with the firmware it has. `reason`: the key of a sentence in the section `update`."""

    reason: str


# --- actions: SIP ----------------------------------------------------------------------------------------------------


class Register(Struct, frozen=True):
    """Send one REGISTER for `account` (one attempt, at most four messages) through target number `target`."""

    account: str
    target: int = 0


class ProbePath(Struct, frozen=True):
    """Send one OPTIONS the way that the REGISTERs of `account` go: same target, same source port."""

    account: str


class NewPort(Struct, frozen=True):
    """Send what `account` sends from now on from another port: a router may have forgotten, or mangle, the old one."""

    account: str


class MoveAddress(Struct, frozen=True):
    """Our own address is another one: move the transport, and the speech of calls that go on, to it."""


class ProbeTarget(Struct, frozen=True):
    """Send one OPTIONS to a target of `account`, beside everything else; silence is the answer of a dead one.

    `call_id` is whose interest it is; empty: the registration's.
    """

    call_id: str
    account: str
    target: int


class Unregister(Struct, frozen=True):
    """Remove the binding of `account`."""

    account: str


class Invite(Struct, frozen=True):
    """Start a call from `account` to `user` in the account's domain, through the account's target number `target`.

    Its speech is joined with `line` and that of no other call: see `Connect`. None: with nothing, until told.
    `withhold`: the called party is not to see who calls; never where it is an emergency.
    """

    call_id: str
    account: str
    user: str
    line: int | None
    emergency: bool = False
    target: int = 0
    withhold: bool = False
    own_user: str = ""
    """The line's own number, as a user part, for the operator: where it is withheld, or is one of several that the
    account carries. Empty: the account's address says it."""
    diversions: tuple[Diverted, ...] = ()
    """From where the call was sent on, the latest first: here, and before it came here."""


class Ringing(Struct, frozen=True):
    """Send 180 for an incoming call; where it is `waiting` beside a conversation, the caller is told so.

    Then 182 goes first, and 180 carries `Alert-Info: <urn:alert:service:call-waiting>` (RFC 7462, 3GPP TS 24.615 §4.5).
    """

    call_id: str
    waiting: bool = False


class Answer(Struct, frozen=True):
    """Send 200 for an incoming call and join its speech with `line` and that of no other call: see `Connect`.

    None: with nothing, until told.
    """

    call_id: str
    line: int | None


class Reject(Struct, frozen=True):
    """Refuse an incoming call with a final response."""

    call_id: str
    code: int


class HangUp(Struct, frozen=True):
    """End a call however far it has come (CANCEL or BYE)."""

    call_id: str


class SpeakPlainly(Struct, frozen=True):
    """A machine was heard in the call: from now on nothing but G.711."""

    call_id: str


class SendDtmf(Struct, frozen=True):
    """Send one digit in a call as RFC 4733 telephone-event."""

    call_id: str
    digit: str


class Redirect(Struct, frozen=True):
    """Refuse an incoming call with 302 and `user` in the account's domain as its Contact (RFC 3261 §21.3.3)."""

    call_id: str
    user: str
    diversions: tuple[Diverted, ...] = ()
    """See `Invite`."""


class Hold(Struct, frozen=True):
    """Offer the far end silence (`a=sendonly`, RFC 3264 §8.4); its end is told by `HoldDone`.

    Nothing of the call is heard from this moment on, however the far end takes it.
    """

    call_id: str


class Resume(Struct, frozen=True):
    """Offer a held call its speech again (`a=sendrecv`); its end is told by `HoldDone`. Who hears it: `Connect`."""

    call_id: str


class Connect(Struct, frozen=True):
    """Let these calls and the handset of `line` (None: no handset) hear each other, and nobody else.

    It states the whole: a call of the line that is not named falls silent on it, and no call at all leaves the line to
    itself. Two calls and a line are a conference of three; two calls without a line speak through the adapter. What
    is connected stays so through every new negotiation, until the next word on one of these calls or this line.
    """

    call_ids: tuple[str, ...]
    line: int | None = None


class Transfer(Struct, frozen=True):
    """Ask the far end of a call to call `user` in the account's domain instead (REFER, RFC 3515).

    How that goes is told by `TransferProgress`.
    """

    call_id: str
    user: str


class TransferTo(Struct, frozen=True):
    """Ask the far end of a call to take our place in `other_call_id` (REFER with Replaces, RFC 5589 §7).

    How that goes is told by `TransferProgress`.
    """

    call_id: str
    other_call_id: str


class ShowWaiting(Struct, frozen=True):
    """Show who calls to whoever speaks on `line`, where the telephone can: it silences speech for a second (ETSI
    EN 300 659-2). To be told once for each call, when its tone has sounded. `when`: as in `Ring`.
    """

    line: int
    caller: CallerId
    when: str = ""


class ShowMessages(Struct, frozen=True):
    """Light or clear the message lamp of the telephone on `line`, where the card can (VMWI, ETSI EN 300 659-3 §5.3)."""

    line: int
    waiting: bool


CardAction = (
    Ring | StopRing | PlayTone | StopTone | PlayDtmf | OpenAudio | CloseAudio | SetLamp | StartLineTest
    | AbortLineTest | ShowMessages | ShowWaiting | Announce | StopAnnouncement
)  # fmt: skip
AdapterAction = SetAdapterLamp | StartUpdate | AbortUpdate
"""For the card, but for no line of it."""
SipAction = (
    Register | Unregister | Invite | Ringing | Answer | Reject | HangUp | SendDtmf
    | ProbePath | NewPort | MoveAddress | ProbeTarget
    | Hold | Resume | Connect | Transfer | TransferTo | Redirect | SpeakPlainly
)  # fmt: skip
