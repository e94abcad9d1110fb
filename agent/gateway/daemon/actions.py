"""What the Switch hears beside the telephone itself, and what it asks of the process around it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.events import AdapterAction, CardAction, SipAction, TelephoneEvent
from agent.gateway.protocol import AgentRecord, Configure, GatewayRecord

# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentUp:
    """An agent is connected and has been sent every record."""


@dataclass(frozen=True, slots=True)
class AgentDown:
    """No agent is connected any more."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The process is told to end: calls and registrations first."""


@dataclass(frozen=True, slots=True)
class UpdateOrdered:
    """A technician has given a firmware image, found genuine, for the line card; `total`: bytes of its body."""

    request: str
    version: str
    total: int
    forced: bool = False


@dataclass(frozen=True, slots=True)
class UpdateAbandoned:
    """Whoever ordered the firmware update `request` does not wait for it any more."""

    request: str


SwitchEvent = TelephoneEvent | AgentRecord | AgentUp | AgentDown | Stop | UpdateOrdered | UpdateAbandoned


# --- actions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Publish:
    """Send `record` to the agent, if there is one; a `Log` goes to stderr as well."""

    record: GatewayRecord


@dataclass(frozen=True, slots=True)
class UseConfiguration:
    """The configuration is in force: keep it as the last good one, hand its accounts to SIP and tones to the card."""

    configuration: Configure


@dataclass(frozen=True, slots=True)
class Finished:
    """After `Stop`: nothing is left to wait for, or it has been waited for long enough. Said once."""


Action = CardAction | AdapterAction | SipAction | Publish | UseConfiguration | Finished
