"""What protects the telephone from strangers, and from known faults of its SIP library, for the page and the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.core.advisories import Advisory, Feature, Reached, standing
from agent.core.codecs import OPUS, choose
from agent.core.srtp import Srtp
from agent.core.target import usable
from agent.core.transports import Transport
from agent.filter_file import FilterState
from agent.gateway.protocol import Account
from agent.packet_filter import read_state
from agent.status.snapshot import AdvisoryView, FilterStanding, FilterView, LibraryView

_UNFILTERED = "sip_sources_not_filtered"
"""The gateway's event where the kernel takes no filter for its sockets."""
_OLD_MS = 30 * 60_000
"""Three times what the timer of the packet filter waits."""


class Protection:
    """`state`: where root says what is in force; `advisories`: the known ones of every version."""

    def __init__(self, state: Path, advisories: Sequence[Advisory]) -> None:
        self._state = state
        self._advisories = advisories
        self._told = ("", 0)
        self._used: frozenset[Feature] = frozenset()
        self._sockets_filter = True

    def packet_filter(self, now_ms: int, ranges: int = 0) -> FilterView:
        """The packet filter as root last left it; without one, what the SIP sockets do with the operator's `ranges`."""
        view = filter_view(read_state(self._state), now_ms)
        if view.standing is FilterStanding.NONE and ranges and self._sockets_filter:
            return FilterView(standing=FilterStanding.SOCKETS, signalling=ranges)
        return view

    def gateway_greets(self) -> None:
        """Another gateway process, with other sockets."""
        self._sockets_filter = True

    def gateway_says(self, event: str) -> None:
        """The gateway logs this event."""
        if event == _UNFILTERED:
            self._sockets_filter = False

    def use(self, accounts: Iterable[Account], codecs: Sequence[str]) -> None:
        """What the gateway is told to do, and the codecs that its library has."""
        self._used = frozenset(_features(accounts, codecs))

    def library(self, version: str) -> LibraryView:
        """The SIP library of this version."""
        found = standing(self._advisories, version, self._used)
        return LibraryView(version=version, known=found.known, advisories=[_view(one) for one in found.open])

    def news(self, version: str) -> dict[str, object] | None:
        """What the log is to tell of this version: once, unless more is reached, and nothing where nothing is.

        How many, not which: a log hides whatever may be a telephone number. `iplink-agent version` names them.
        """
        found = standing(self._advisories, version, self._used)
        reached = found.count(Reached.YES)
        if (version, reached) == self._told or (found.known and not reached):
            return None
        self._told = version, reached
        return {"version": version, "known": found.known, "open": len(found.open), "reached": reached}


def _features(accounts: Iterable[Account], codecs: Sequence[str]) -> Iterable[Feature]:
    for account in accounts:
        # Keys travel by TLS only, so by any other transport the library is not told of SRTP.
        transports = {target.transport for target in map(usable, account.targets) if target is not None}
        if account.srtp is not Srtp.OFF and Transport.TLS in transports:
            yield Feature.SRTP
        if OPUS in choose(account.codecs, codecs).codecs:
            yield Feature.OPUS


def filter_view(state: FilterState | None, now_ms: int) -> FilterView:
    """What root said, as the page shows it at `now_ms` of the boot clock."""
    if state is None:
        return FilterView()
    if state.error:
        known = FilterStanding.KEPT if state.in_force else FilterStanding.REFUSED
    elif not state.in_force:
        known = FilterStanding.NONE
    else:
        known = FilterStanding.IN_FORCE if now_ms - state.boot_ms < _OLD_MS else FilterStanding.OLD
    return FilterView(standing=known, signalling=state.signalling, media=state.media, error=state.error)


def _view(advisory: Advisory) -> AdvisoryView:
    return AdvisoryView(
        id=advisory.id, reached=advisory.reached.value, what_nb=advisory.what.nb, what_en=advisory.what.en,
        why_nb=advisory.why.nb, why_en=advisory.why.en,
        fixed=".".join(map(str, advisory.fixed)) if advisory.fixed is not None else "",
    )  # fmt: skip
