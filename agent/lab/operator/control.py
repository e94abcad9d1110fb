"""The lab's controls (`/lab/`): change the subscription, publish a file, order faults, look into the ledger."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from agent.lab.operator.api import OperatorApi, Refused, answer, decode, read_body
from agent.lab.operator.bodies import Faults, LabCdr, LabCdrs, LabGap, LabGaps, SubscriptionChange, UsageChange
from agent.lab.operator.config import LabConfigError
from agent.lab.operator.desk import Desk
from agent.lab.operator.published import Published, PublishError, price_list_name, shipped_price_list
from agent.operator.api import MAX_FILE


class Control:
    """Handlers of `/lab/`. The identity check is the application's middleware."""

    def __init__(self, *, api: OperatorApi, desk: Desk, published: Published) -> None:
        self._api = api
        self._desk = desk
        self._published = published

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of `/lab/`."""
        return [
            web.post("/lab/subscription", self.change_subscription),
            web.post("/lab/usage", self.note_usage),
            web.post("/lab/files/{name}", self.publish),
            web.post("/lab/faults", self.order_faults),
            web.get("/lab/faults", self.faults),
            web.get("/lab/cdrs", self.cdrs),
            web.get("/lab/gaps", self.gaps),
        ]

    async def change_subscription(self, request: web.Request) -> web.StreamResponse:
        """`POST /lab/subscription`: SubscriptionChange in, the new Subscription out."""
        change = decode(await read_body(request), SubscriptionChange)
        try:
            if change.product is not None and self._published.current(price_list_name(change.product)) is None:
                self._published.publish(price_list_name(change.product), shipped_price_list(change.product))
            self._desk.change(change)
        except (LabConfigError, PublishError) as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        return await self._api.subscription(request)

    async def note_usage(self, request: web.Request) -> web.StreamResponse:
        """`POST /lab/usage`: UsageChange in, the same out."""
        change = decode(await read_body(request), UsageChange)
        self._desk.note_usage(change)
        return answer(change)

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """`POST /lab/files/{name}?version=…`: the bytes in, FileInfo out; it is the current version from now on."""
        data = await read_body(request, MAX_FILE)
        try:
            info = self._published.publish(request.match_info["name"], data, request.query.get("version", ""))
        except PublishError as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        return answer(info)

    async def order_faults(self, request: web.Request) -> web.StreamResponse:
        """`POST /lab/faults`: Faults in, the same out."""
        self._desk.order(decode(await read_body(request), Faults))
        return answer(self._desk.faults)

    async def faults(self, _request: web.Request) -> web.StreamResponse:
        """`GET /lab/faults`: what is left of them."""
        return answer(self._desk.faults)

    async def gaps(self, _request: web.Request) -> web.StreamResponse:
        """`GET /lab/gaps`: numbers that never came."""
        found = await self._api.in_ledger_thread(self._api.ledger.gaps, self._api.device_id)
        return answer(LabGaps(gaps=[LabGap(epoch=one.epoch, first=one.first, last=one.last) for one in found]))

    async def cdrs(self, _request: web.Request) -> web.StreamResponse:
        """`GET /lab/cdrs`: every received record."""
        received = await self._api.in_ledger_thread(self._api.ledger.records)
        return answer(
            LabCdrs(
                records=[
                    LabCdr(device=one.device, received_at=one.received_at, sha256=one.sha256, record=one.record)
                    for one in received
                ]
            )
        )
