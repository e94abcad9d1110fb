"""What the Switch hears beside the telephone itself, and what it asks of the process around it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from agent.core.actions import AdapterAction, CardAction, SipAction
from agent.core.callback import Helped
from agent.core.events import TelephoneEvent
from agent.core.services import LineServices
from agent.gateway.protocol import AgentRecord, Configure, GatewayRecord

# --- events ----------------------------------------------------------------------------------------------------------


class AgentUp(Struct, frozen=True):
    """An agent is connected and has been sent every record."""


class AgentDown(Struct, frozen=True):
    """No agent is connected any more."""


class Stop(Struct, frozen=True):
    """The process is told to end: calls and registrations first."""


class UpdateOrdered(Struct, frozen=True):
    """A technician has given a firmware image, found genuine, for the line card; `total`: bytes of its body."""

    request: str
    version: str
    total: int
    forced: bool = False


class UpdateAbandoned(Struct, frozen=True):
    """Whoever ordered the firmware update `request` does not wait for it any more."""

    request: str


SwitchEvent = TelephoneEvent | AgentRecord | AgentUp | AgentDown | Stop | UpdateOrdered | UpdateAbandoned


# --- actions ---------------------------------------------------------------------------------------------------------


class Publish(Struct, frozen=True):
    """Send `record` to the agent, if there is one; a `Log` goes to stderr as well."""

    record: GatewayRecord


class UseConfiguration(Struct, frozen=True):
    """The configuration is in force: keep it as the last good one, hand its accounts to SIP and tones to the card."""

    configuration: Configure


class KeepRests(Struct, frozen=True):
    """Other credentials rest now than before: keep them, by mark with the boot time until which each rests."""

    rests: Mapping[str, int]


class KeepServices(Struct, frozen=True):
    """Users have set something else: keep what is set, by line."""

    settings: Mapping[int, LineServices]


class KeepCallbacks(Struct, frozen=True):
    """Another line may be called back by an emergency service, or one no more: keep which, see `core.callback`."""

    called_for_help: Helped


class Finished(Struct, frozen=True):
    """After `Stop`: nothing is left to wait for, or it has been waited for long enough. Said once."""


Action = (
    CardAction | AdapterAction | SipAction | Publish | UseConfiguration | KeepRests | KeepServices | KeepCallbacks
    | Finished
)  # fmt: skip
