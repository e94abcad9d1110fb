"""The adapter without an operator of ours: an ordinary SIP adapter with any provider.

One registration, no plan, no price, no limit, no upload. Emergency calls are what they always are. Records stay as a
call log: nobody waits for them, and they go by their age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, Protocol

import structlog

from agent.calls import Judgement
from agent.clock import FLOOR, Moment
from agent.config import PlainSection
from agent.core.cdr import Cdr, OpenCall, Price
from agent.core.packs import PackBalance
from agent.core.terms import LineProfile
from agent.gateway.protocol import CallState, Decide
from agent.operator.api import (
    CdrBatch,
    CdrBatchResult,
    FileInfo,
    Health,
    Number,
    OutgoingLine,
    Registration,
    SipProfile,
    Subscription,
    Usage,
)
from agent.operator.errors import OperatorError
from agent.operator.uploader import wait_for_wake
from agent.plan import Plan
from agent.store.errors import StoreError

PLAIN = "plain"
"""Name of the product, of the registration, and of the document that marks a store as such an adapter's."""

_CHUNK = 500
_RETRY_S = 60.0
_log = structlog.get_logger(PLAIN)


def subscription_of(section: PlainSection, password: str) -> Subscription:
    """The profile in the words of a subscription. It names a price list that nobody has and nobody asks for."""
    lines = [line - 1 for line in section.lines]
    profiles = dict(zip(lines, section.profiles, strict=False))
    return Subscription(
        revision=PLAIN,
        customer=PLAIN,
        product=PLAIN,
        registrations=[
            Registration(
                id=PLAIN, user=section.user, domain=section.domain, auth_user=section.auth_user or section.user,
                password=password, targets=section.targets, expires_s=section.expires_s, codecs=list(section.codecs),
                srtp=section.srtp,
            )
        ],
        numbers=[Number(number=section.number, registration=PLAIN, lines=lines)],
        lines=[
            OutgoingLine(
                line=line, registration=PLAIN, number=section.number, profile=profiles.get(line, LineProfile.PHONE)
            )
            for line in lines
        ],
        price_list=FileInfo(name=PLAIN, version="0", length=1, sha256="0" * 64),
        profile=SipProfile(
            number_format=section.number_format, boot_spread_s=0, transports=section.transports,
            signalling_ranges=section.signalling_ranges, media_ranges=section.media_ranges,
            stun_server=section.stun_server,
        ),
    )  # fmt: skip


class PlainPlan(Plan):
    """Every call may start, none ends by our word, and none has a price."""

    plain = True

    def turn(self, now: Moment) -> bool:
        """Nothing turns but what the base keeps; that no product is known is no news."""
        changed = super().turn(now)
        self.unknown_product = ""
        return changed

    def basis(self) -> tuple[str, str]:
        """No product and no list."""
        return (PLAIN, "")

    def judge(self, state: CallState, now: Moment) -> Judgement:
        """Yes."""
        del now
        return Judgement(Decide(call_id=state.call_id, granted=True), *self.basis())

    def price(self, call: OpenCall, duration_ms: int, packs: Iterable[PackBalance] = ()) -> tuple[Price | None, str]:
        """None, and nothing to say about it: the provider's bill is between him and the customer."""
        del call, duration_ms, packs
        return None, ""


class NoOperator:
    """Stands where the operator's client would: there is nobody to ask."""

    async def close(self) -> None:
        """Nothing is open."""

    async def subscription(self) -> Subscription:
        """Raises OperatorError."""
        self._nobody()

    async def usage(self, month: str) -> Usage:
        """Raises OperatorError."""
        del month
        self._nobody()

    async def health(self) -> tuple[Health, datetime]:
        """Raises OperatorError."""
        self._nobody()

    async def upload(self, batch: CdrBatch) -> CdrBatchResult:
        """Raises OperatorError."""
        del batch
        self._nobody()

    async def download(self, info: FileInfo, target: Path) -> None:
        """Raises OperatorError."""
        del info, target
        self._nobody()

    def _nobody(self) -> NoReturn:
        raise OperatorError("this adapter has no operator")


class LogStore(Protocol):
    """The part of the store that the call log needs."""

    async def pending(self, limit: int) -> list[Cdr]: ...
    async def acknowledge(self, ids: Sequence[str], at: str) -> int: ...


async def keep_log(store: LogStore, wake: asyncio.Event, now: Callable[[], Moment]) -> NoReturn:
    """Take every waiting record for done, so that it goes by its age, whenever `wake` says that there is one more."""
    while True:
        wake.clear()
        try:
            while found := await store.pending(_CHUNK):
                at = max(now().wall, FLOOR).astimezone(UTC).isoformat(timespec="seconds")
                await store.acknowledge([cdr.id for cdr in found], at)
        except StoreError as error:
            _log.error("call_log_failed", detail=str(error))
            await wait_for_wake(wake, _RETRY_S)
        else:
            await wait_for_wake(wake, None)
