"""Everything the status page shows, at one moment, as the composition root fills it in.

Numbers arrive whole and are masked by `agent.status.masking` before anything is rendered. Sentences travel as catalogue
keys, so that one snapshot can be read in every language. Wall times are UTC; `*_s` are whole seconds.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Struct

from agent.core.announcement import Announcement
from agent.core.media import Way
from agent.core.terms import CallKind, CallPhase, Cause, Direction, LineProfile, Tone


class View(Struct, frozen=True, kw_only=True):
    """Base of the snapshot and of its parts."""


class Notice(View, frozen=True, kw_only=True):
    """A sentence of the text catalogue, by key, with the values of its fields."""

    key: str
    values: dict[str, str] = msgspec.field(default_factory=dict)


class GatewayView(View, frozen=True, kw_only=True):
    """The gateway process, as its `Hello` described it. `since`: when this connection began."""

    connected: bool = False
    version: str = ""
    sip_version: str = ""
    instance: str = ""
    configuration: str = ""
    since: datetime | None = None


class LineTestView(View, frozen=True, kw_only=True):
    """The latest line test of a line: what was found of each test, worst first to be read as notices.

    `verdict`: `good`, `bad` (something failed), `busy` (going on) or `idle` (broken off, or not all measured).
    """

    at: datetime
    verdict: str
    summary: Notice
    findings: list[Notice] = msgspec.field(default_factory=list)


class UpdateView(View, frozen=True, kw_only=True):
    """The latest firmware update of the card; `over`: nothing more will come, and `outcome` says what came of it."""

    version: str
    phase: str
    percent: int = 0
    over: bool = False
    outcome: Notice | None = None
    good: bool = False


class FilterStanding(enum.StrEnum):
    """What is known of the packet filter."""

    IN_FORCE = "in_force"
    KEPT = "kept"
    """An earlier one is in force; what was asked for since was refused."""
    REFUSED = "refused"
    """None is in force; what was asked for was refused."""
    OLD = "old"
    """It was in force when somebody looked last, which is long ago."""
    NONE = "none"
    SOCKETS = "sockets"
    """None, but the SIP sockets themselves take what comes from the operator alone."""


class FilterView(View, frozen=True, kw_only=True):
    """The packet filter: how many address ranges it lets through to signalling and to speech (0: not filtered)."""

    standing: FilterStanding = FilterStanding.NONE
    signalling: int = 0
    media: int = 0
    error: str = ""


class AdvisoryView(View, frozen=True, kw_only=True):
    """A known fault of the SIP library. `fixed`: the first release without it, empty where none was known."""

    id: str
    reached: str
    what_nb: str = ""
    what_en: str = ""
    why_nb: str = ""
    why_en: str = ""
    fixed: str = ""


class LibraryView(View, frozen=True, kw_only=True):
    """The SIP library and its open advisories, those that are reached first. Not `known`: its version says nothing."""

    version: str = ""
    known: bool = False
    advisories: list[AdvisoryView] = msgspec.field(default_factory=list)


class CardView(View, frozen=True, kw_only=True):
    """The line card; `reason` says why it is down."""

    up: bool = False
    lines: int = 0
    firmware: str = ""
    reason: str = ""
    update: UpdateView | None = None
    button_at: datetime | None = None
    """When the adapter's button was last released, and how long it had been held."""
    button_held_s: int = 0


class ServiceView(View, frozen=True, kw_only=True):
    """Something that the user of a line has set: the key of a sentence `service.KEY`, and the number it is set to."""

    key: str
    number: str = ""


class LineView(View, frozen=True, kw_only=True):
    """One analog line, numbered from 0 (shown from 1), and what the subscription gives it."""

    line: int
    number: str = ""
    account: str = ""
    off_hook: bool = False
    ringing: bool = False
    tone: Tone | None = None
    announcement: Announcement | None = None
    """What the telephone is being told; the tone follows."""
    call_id: str = ""
    profile: LineProfile = LineProfile.PHONE
    """What is connected to it."""
    test: LineTestView | None = None
    services: list[ServiceView] = []
    """What its user has set by codes."""


class AccountView(View, frozen=True, kw_only=True):
    """One registration. `since`: when it was made, or lost; `code` 0 or `on_wire` false: the registrar said nothing.

    `status`: the state as TR-104 names it, empty where unknown. `alive`: when the server last answered our OPTIONS.
    `reached`: when a request of the operator last came to us.
    """

    account: str
    registered: bool = False
    since: datetime | None = None
    code: int = 0
    reason: str = ""
    on_wire: bool = True
    attempts: int = 0
    next_attempt_s: int | None = None
    status: str = ""
    alive: datetime | None = None
    reached: datetime | None = None


class StunView(View, frozen=True, kw_only=True):
    """The STUN server, whether it answers, and the address from which it saw us last (empty: it never has)."""

    server: str
    answers: bool = False
    outside: str = ""
    refusal: str = ""
    """Why it can't be asked from here."""


class SoundView(View, frozen=True, kw_only=True):
    """How one direction of a call sounds: `mos_centi` is the mean opinion score × 100."""

    loss_permille: int
    jitter_ms: int
    mos_centi: int


class LiveCallView(View, frozen=True, kw_only=True):
    """A call in progress. `seconds` since answer; `amount_micro` its price if it ended now (None: not known, or free).

    `until_s`: seconds until the granted moment (None: no limit).
    """

    id: str
    direction: Direction
    phase: CallPhase
    kind: CallKind = CallKind.ORDINARY
    line: int | None = None
    number: str = ""
    held: bool = False
    """Whether the other party is on hold."""
    seconds: int = 0
    amount_micro: int | None = None
    currency: str = ""
    until_s: int | None = None
    heard: SoundView | None = None
    sent: SoundView | None = None
    """As the far end reports; None: it does not."""
    rtt_ms: int = 0
    one_way: Way | None = None
    """Which direction is dead, for `one_way_s`."""
    one_way_s: int = 0


class NumberCost(View, frozen=True, kw_only=True):
    """What one of the own numbers has cost, and the month's answered outgoing calls and their seconds."""

    own_number: str
    today_micro: int = 0
    month_micro: int = 0
    calls: int = 0
    seconds: int = 0


class MonthItem(View, frozen=True, kw_only=True):
    """A line of the invoice to come: `kind` as in `item.KIND`; `sample`: its price is a sample, not the operator's."""

    kind: str
    count: int
    amount_micro: int
    seconds: int = 0
    currency: str = "NOK"
    vat: str = "not_stated"
    name_nb: str = ""
    name_en: str = ""
    sample: bool = False


class MonthTotal(View, frozen=True, kw_only=True):
    """The sum of what says the same of tax, in one currency."""

    amount_micro: int
    currency: str = "NOK"
    vat: str = "not_stated"


class MonthView(View, frozen=True, kw_only=True):
    """A calendar month (`2018-12`) as it would be invoiced in the next; `complete`: it is over."""

    month: str
    invoiced_in: str
    complete: bool = False
    items: list[MonthItem] = msgspec.field(default_factory=list)
    totals: list[MonthTotal] = msgspec.field(default_factory=list)


class CapView(View, frozen=True, kw_only=True):
    """A limit on what calls may cost (`cap.CAP`), and what is used of it; `used_micro` None: it is of each call."""

    cap: str
    limit_micro: int
    used_micro: int | None = None


class PackView(View, frozen=True, kw_only=True):
    """A minute pack in this month: the seconds it includes and those that are used, here and elsewhere."""

    name_nb: str
    name_en: str
    seconds: int
    used_s: int = 0


class MoneyView(View, frozen=True, kw_only=True):
    """Cost of calls today and this calendar month. `vat`: `included`, `excluded` or `not_stated`."""

    today_micro: int = 0
    month_micro: int = 0
    currency: str = "NOK"
    vat: str = "not_stated"
    numbers: list[NumberCost] = msgspec.field(default_factory=list)
    caps: list[CapView] = msgspec.field(default_factory=list)
    balance_micro: int | None = None
    """Prepaid money that is left, calls in progress not counted; None: billed in arrears."""
    packs: list[PackView] = msgspec.field(default_factory=list)
    months: list[MonthView] = msgspec.field(default_factory=list)
    """The month that is invoiced next, where calls were made in it, then this one."""


class CdrUpload(enum.StrEnum):
    """How far a record has come on its way to the operator."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    QUARANTINED = "quarantined"


class CdrView(View, frozen=True, kw_only=True):
    """One ended call. `amount_micro` None: it costs nothing by its nature, or `unpriced` says why it has no price."""

    id: str
    began_at: datetime
    direction: Direction
    cause: Cause
    upload: CdrUpload
    time_trusted: bool = True
    kind: CallKind = CallKind.ORDINARY
    line: int | None = None
    own_number: str = ""
    number: str = ""
    duration_ms: int = 0
    amount_micro: int | None = None
    currency: str = ""
    unpriced: str = ""
    refusal: str = ""
    sent_gaps_ms: int = 0
    """Speech of the household that did not reach the far end as it was said."""
    heard_gaps_ms: int = 0
    """The same, the other way."""
    heard_mos_centi: int = 0
    sent_mos_centi: int = 0
    worst_mos_centi: int = 0
    """Of the worst five seconds; 0: not known, here and in the two before."""
    one_way: Way | None = None
    limit: str = ""
    """Which limit ended it (`limit.CAP`), where one did."""
    pack_s: int = 0
    paid_s: int = 0


class PriceListView(View, frozen=True, kw_only=True):
    """The price list in force. `valid_from`: a civil date as the list writes it."""

    name: str
    version: str
    installed_at: datetime | None = None
    valid_from: str = ""


class SubscriptionView(View, frozen=True, kw_only=True):
    """What the customer has; `refused`: what the operator sent that the product does not include."""

    product: str
    product_nb: str = ""
    product_en: str = ""
    customer: str = ""
    revision: str = ""
    active: bool = True
    ended: bool = False
    last_day: str = ""
    """Civil date on which it ends or has ended, as far as is known."""
    was: str = ""
    """The product that the operator named, where it has ended and this one is its successor."""
    refused: list[Notice] = msgspec.field(default_factory=list)


class UploadView(View, frozen=True, kw_only=True):
    """The queue of records to the operator; of a backlog also how many of how many have gone."""

    pending: int = 0
    quarantined: int = 0
    last_success: datetime | None = None
    last_error: Notice | None = None
    next_attempt_s: int | None = None
    backlog_done: int = 0
    backlog_total: int = 0


class StoreView(View, frozen=True, kw_only=True):
    """Whether the store takes records; `reason` where it does not.

    `free_bytes` of its disk (None: not known), `low_space`: below what the adapter wants; `journal_working`: each
    record is written down twice.
    """

    working: bool = True
    reason: str = ""
    free_bytes: int | None = None
    low_space: bool = False
    journal_working: bool = True


class ConfigurationView(View, frozen=True, kw_only=True):
    """Where the settings came from. `error` not empty: the last good ones are in force, and this is why."""

    source: str = ""
    error: str = ""


class UnlockView(View, frozen=True, kw_only=True):
    """The technician's code: dialled behind `*99*` on a telephone of the house it admits him. Times are UTC."""

    unlock_code: str = ""
    """Empty: none is taken until `locked_until`."""
    code_until: datetime | None = None
    locked_until: datetime | None = None
    unlocked_until: datetime | None = None
    """A technician is admitted until then."""


class Versions(View, frozen=True, kw_only=True):
    """Versions of the agent's own parts; gateway and card tell theirs themselves."""

    agent: str = ""
    python: str = ""


class Snapshot(View, frozen=True, kw_only=True):
    """The whole adapter at `at` (UTC). `time_trusted` false: nobody vouches for `at` and the other wall times."""

    at: datetime
    time_trusted: bool = True
    uptime_s: int = 0
    device_id: str = ""
    plain: bool = False
    """An adapter without an operator of ours: no subscription, no price, nothing uploaded."""
    gateway: GatewayView = GatewayView()
    library: LibraryView = msgspec.field(default_factory=LibraryView)
    packet_filter: FilterView = FilterView()
    card: CardView = CardView()
    lines: list[LineView] = msgspec.field(default_factory=list)
    accounts: list[AccountView] = msgspec.field(default_factory=list)
    stun: StunView | None = None
    """None: no STUN server is asked."""
    calls: list[LiveCallView] = msgspec.field(default_factory=list)
    money: MoneyView = msgspec.field(default_factory=MoneyView)
    cdrs: list[CdrView] = msgspec.field(default_factory=list)
    """Newest first; the page shows at most 20."""
    price_list: PriceListView | None = None
    subscription: SubscriptionView | None = None
    upload: UploadView = UploadView()
    store: StoreView = StoreView()
    usage_differences: int = 0
    """In how many counts of the month the operator disagrees with what it has acknowledged."""
    usage_difference_micro: int = 0
    configuration: ConfigurationView = ConfigurationView()
    problems: list[Notice] = msgspec.field(default_factory=list)
    versions: Versions = Versions()
    unlock: UnlockView | None = None


class StatusSource(Protocol):
    """Where the page gets its facts."""

    async def snapshot(self) -> Snapshot:
        """The adapter as it is now."""

    async def wait_change(self, since: int) -> int:
        """Wait until something shown has changed after change number `since`; return the newest number.

        Change numbers start at 1 and only grow; `since=0` returns at once.
        """
