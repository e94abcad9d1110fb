"""Composition root of the agent: the one place where its parts are made and joined.

Nothing here decides anything. Each part is a task of one group: if one fails in a way nobody foresaw, the process ends
and is started again, and the store says where to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from agent import clock, outbox_request
from agent.calls import Calls
from agent.charging import Charging
from agent.config import ConfigError, read_credential
from agent.core.cdr import Cdr, Price
from agent.core.terms import CallPhase, NetworkChange
from agent.core.unlock import CODES, UnlockDesk
from agent.corrections import Corrections
from agent.data import DataError, load_advisories, load_numbering, load_products, load_services
from agent.disk_watch import DiskWatch
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.client import GatewayClient, GatewayUnavailableError
from agent.gateway.protocol import (
    Account,
    AccountState,
    AgentRecord,
    CallQuality,
    CallState,
    CardState,
    Configure,
    GatewayRecord,
    Hello,
    LineSettings,
    LineState,
    Log,
    NetworkNews,
    StunState,
    Unlock,
)
from agent.net.memory import Memory
from agent.net.sources import Sources, parse_server
from agent.net.watch import TargetWatch, Wanted
from agent.notify import notify
from agent.operator.api import FileInfo, Usage
from agent.operator.sync import SUBSCRIPTION, Change, Syncer
from agent.operator.uploader import Uploader
from agent.operator.usage import PERIOD_S, UsagePoller
from agent.orders import Order, Orders
from agent.plain import PLAIN, PlainPlan, keep_log, subscription_of
from agent.plan import Plan, Shipped
from agent.protection import Protection
from agent.rating.errors import DeckError, PriceListError
from agent.rating.table import RateTable, open_or_build
from agent.reconciliation import Reconciler
from agent.records import reopened, rfc3339
from agent.seen import SeenGateway
from agent.settings import Settings, complain, load_country, load_settings, operator_client
from agent.standby import Standby
from agent.status.app import PageError, StatusServer
from agent.store.errors import StoreError, StoreLocked, StoreTooNew
from agent.store.store import Store
from agent.telephone_clock import TelephoneClock
from agent.texts import TextError, Texts
from agent.timekeeping import Timekeeper
from agent.unlocking import Unlocking
from agent.view import StatusView

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_MISSING = 3

_DAY = timedelta(days=1)
_PURGE_S = 6 * 3600.0
_WATCHDOG_S = 10.0
_DAY_CHECK_S = 5.0
_RETRY_REQUEST_S = 55.0
_PAGE_RETRY_S = 30.0
_STORE_RETRY_S = 5.0

_log = structlog.get_logger("agent")


class Agent:
    """One run of the agent under one configuration."""

    def __init__(self, settings: Settings, source: Path, store: Store) -> None:
        config = settings.config
        self._config = config
        self._source = source
        self._store = store
        self._clock = clock.Clock()
        self._zone = ZoneInfo(config.general.time_zone)
        self._telephone_clock = TelephoneClock(self._zone)
        self._price_lists = Path(config.store.folder) / "price-lists"
        self._old_tables: dict[str, RateTable] = {}
        self._unprepared: set[str] = set()
        self._upload_wake = asyncio.Event()
        self._recount = asyncio.Event()
        self._texts = Texts.load()
        self._random = random.SystemRandom()
        kind = PlainPlan if config.plain is not None else Plan
        self.plan = kind(
            Shipped(
                load_products(), load_numbering().with_map(config.dialling.map),
                load_country(config), frozenset(config.emergency.extra),
                load_services(),
                config.general.language, config.general.announcements, config.emergency.callback_minutes * 60,
            ),
            self._zone, self._old_table, lambda one: self._targets.targets(one.id) or (),
            kept_tables=self._tables_on_disk,
        )  # fmt: skip
        self._targets = TargetWatch(
            Sources(Path(config.dns.resolv_conf), [one for text in config.dns.fallback if (one := parse_server(text))]),
            Memory(Path(config.store.folder) / "targets.json"),
            changed=self._configure, dns_back=self._dns_back, uniform=self._random.random,
            now_s=self._now_s,
        )  # fmt: skip
        self._charging = Charging(self.plan, self._zone)
        with_money = config.plain is None
        self._gateway = GatewayClient(Path(config.gateway.socket), on_record=self._heard, on_lost=self._lost)
        self._seen = SeenGateway()
        self.calls = Calls(
            store=store, judge=self._charging if with_money else self.plan, send=self._gateway.send,
            now=self._clock.now, zone=self._zone, recorded=self._recorded, troubles=(StoreError,),
            unsendable=GatewayUnavailableError, anchor_of=self._clock.anchor_of,
            purse=self._charging if with_money else None,
        )  # fmt: skip
        self._operator = operator_client(config)
        self._syncer = Syncer(
            self._operator, store, self._price_lists, install=self._install, on_change=self._changed,
            uniform=self._random.uniform, clock=self._clock.now, wake=asyncio.Event(), in_use=self._lists_in_use,
            permanent=(DeckError,),
        )  # fmt: skip
        spread = spread_s(config.operator.start_within_s, clock.boot_ms()) if config.operator is not None else 0.0
        self._uploader = Uploader(
            store, self._operator, uniform=self._random.uniform, clock=self._clock.now, wake=self._upload_wake,
            start_within_s=spread,
        )  # fmt: skip
        self._reconciler = Reconciler(self._operator, store, touch=self._news)
        self._usage_poller = UsagePoller(
            self._reconciler, store, observed=self._usage_told, uniform=self._random.uniform, clock=self._clock.now,
            zone=self._zone,
            period_s=float(config.operator.usage_period_s) if config.operator is not None else PERIOD_S,
        )  # fmt: skip
        self._corrections = Corrections(
            store, anchor_of=self._clock.anchor_of, reprice=self._reprice, zone=self._zone, corrected=self._corrected,
            troubles=(StoreError,),
        )  # fmt: skip
        self._timekeeper = Timekeeper(
            self._clock, store, self._operators_time, uniform=self._random.uniform, known=self._time_known,
            start_within_s=spread,
        )  # fmt: skip
        self._protection = Protection(Path(config.gateway.packet_filter), load_advisories())
        self._disk = DiskWatch(store, mended=self.calls.store_works, touch=self._news)
        store.can_spare(self._spare_price_lists)
        self._unlocking = Unlocking(
            UnlockDesk(lambda: secrets.randbelow(CODES)), now=self._clock.now, send=self._gateway.send,
            touch=self._news,
        )  # fmt: skip
        self._view = StatusView(
            plan=self.plan, charging=self._charging, calls=self.calls, gateway=self._seen, store=store,
            syncer=self._syncer, uploader=self._uploader, clock=self._clock, zone=self._zone,
            device_id=config.operator.device_id if config.operator is not None else PLAIN, source=source,
            trouble=settings.trouble, disk=self._disk, reconciler=self._reconciler, protection=self._protection,
            unlocking=self._unlocking.view,
        )  # fmt: skip
        self._page = StatusServer(
            self._view, texts=self._texts, zone=self._zone, lang=config.general.language, bind=config.page.bind,
            port=config.page.port, hosts=config.page.hosts, metrics=self._view.metrics,
        )  # fmt: skip

    def _now_s(self) -> float:
        return self._clock.now().wall.timestamp()

    async def run(self, orders: Orders) -> Settings | None:
        """Work until told to stop (None) or until there are other settings to work with."""
        async with self._running():
            notify("READY=1")
            _log.info("agent_ready")
            while await orders.next() is Order.RELOAD:
                settings = self._reload()
                if settings is not None:
                    return settings
            notify("STOPPING=1")
            return None

    def _reload(self) -> Settings | None:
        """Read the file again; where it is refused, everything goes on as it is, and says so."""
        notify("RELOADING=1")
        try:
            settings = load_settings(self._source)
        except ConfigError as error:
            # No earlier one is kept: what runs now is the last good one.
            settings = Settings(self._config, error)
            complain(settings)
        if not settings.refused:
            return settings
        self._view.judge(settings.trouble)
        notify("READY=1")
        return None

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        await self._claim_store()
        await self._restore()
        try:
            async with asyncio.TaskGroup() as group:
                parts = (
                    self._serve_page(), self._targets.run(),
                    self._gateway.run(), self.calls.run(), *self._with_operator(),
                    self._purge(), self._timekeeper.run(), self._corrections.run(), self._watchdog(),
                    self._turn_days(), self._view.run(), self._unlocking.run(), self._disk.run(), self._store.fails(),
                )  # fmt: skip
                tasks = [group.create_task(part) for part in parts]
                yield
                for task in tasks:
                    task.cancel()
        finally:
            await self._page.stop()
            await self._operator.close()

    def _with_operator(self) -> tuple[Coroutine[Any, Any, None], ...]:
        if self._config.plain is not None:
            return (keep_log(self._store, self._upload_wake, self._clock.now),)
        return (
            self._syncer.run(), self._uploader.run(), self._usage_poller.run(), self._recount_usage(),
            self._obey_requests(),
        )  # fmt: skip

    async def _claim_store(self) -> None:
        """The records of an operator's customer and the log of a plain adapter never lie in one store."""
        plain = self._config.plain is not None
        if await self._store.document(SUBSCRIPTION if plain else PLAIN) is not None:
            section, other = ("plain", "a subscription") if plain else ("operator", "an adapter without an operator")
            raise ConfigError(
                f"{section}: the store in {self._config.store.folder} is still that of {other}; run 'iplink-agent wipe'"
            )
        if plain and await self._store.document(PLAIN) is None:
            await self._store.put_document(PLAIN, b"{}")

    # --- the gateway -------------------------------------------------------------------------------------------------

    def _heard(self, record: GatewayRecord) -> None:
        match record:
            case Hello():
                _log.info("gateway_connected", version=record.version, sip=record.sip_version)
                self._protection.gateway_greets()
                self._seen.greet(record, self._clock.now())
                self.calls.take(record)
                self.plan.max_accounts = record.max_accounts
                self._configure()
                self._telephone_clock.forget()
                self._tell_time()
            case CallState():
                self.calls.take(record)
                if record.phase is CallPhase.ENDED:
                    self._seen.call_over(record.call_id)
            case (
                CardState() | LineState() | LineSettings() | AccountState() | CallQuality() | LineTestState()
                | UpdateState() | StunState()
            ):  # fmt: skip
                self._seen.note(record)
            case Unlock():
                self._unlocking.heard(record)
            case Log():
                self._protection.gateway_says(record.event)
                fields = {"line": record.line, "call_id": record.call_id, "detail": record.detail}
                told = {name: value for name, value in fields.items() if value not in (None, "")}
                _log.log(_LEVELS.get(record.level, _LEVELS["info"]), record.event, process="gateway", **told)
        self._view.touch()

    def _lost(self, reason: str) -> None:
        _log.error("gateway_lost", reason=reason)
        self._seen.forget()
        self.calls.lost()
        self._view.touch()

    def _tell_advisories(self, accounts: Iterable[Account]) -> None:
        hello = self._seen.hello
        if hello is None:
            return
        self._protection.use(accounts, hello.codecs)
        if (news := self._protection.news(hello.sip_version)) is not None:
            _log.warning("sip_library_advisories", **news)

    def _configure(self) -> None:
        configuration = self.plan.configuration()
        self._tell_advisories(configuration.accounts if configuration is not None else ())
        if configuration is None or not self._gateway.connected:
            return
        if self._seen.configuration and not self._targets.complete:
            # What the gateway has kept works; a configuration without its servers would not.
            _log.warning("configuration_put_off", detail="no DNS server has answered for every registration")
            return
        if configuration.revision != self._seen.configuration:
            with contextlib.suppress(GatewayUnavailableError):
                self._send_configuration(configuration)

    def _send_configuration(self, configuration: Configure) -> None:
        record: AgentRecord = configuration
        self._gateway.send(record)
        self._seen.configuration = configuration.revision
        _log.info("gateway_configured", revision=configuration.revision, accounts=len(configuration.accounts))

    def _dns_back(self) -> None:
        with contextlib.suppress(GatewayUnavailableError):
            self._gateway.send(NetworkNews(change=NetworkChange.DNS_BACK))

    # --- the operator ------------------------------------------------------------------------------------------------

    async def _install(self, path: Path, info: FileInfo) -> None:
        table = await asyncio.to_thread(open_or_build, path, path.with_suffix(".table"))
        subscription = self.plan.subscription
        if subscription is not None and self.plan.product not in table.header.products:
            raise PriceListError(f"{info.name}: it does not belong to the product {self.plan.product}")
        if self.plan.table is not None:
            self._old_tables = {self.plan.table_sha256: self.plan.table}
        now = self._clock.now()
        in_force = self.plan.offer_table(table, info.sha256, now)
        self._view.installed(now)
        self._corrections.look_again()
        _log.info(
            "price_list_installed", name=info.name, version=info.version, prefixes=len(table), in_force=in_force,
            valid_from=str(table.header.valid_from),
        )  # fmt: skip

    async def _restore(self) -> None:
        """Put what was last known into force; before a new list's day, the list that was in force until then."""
        await self._timekeeper.restore()
        if self._config.plain is not None:
            path, setting = self._config.secret
            subscription = subscription_of(self._config.plain, read_credential(path, setting))
            await self._changed(Change(subscription=subscription))
            return
        await self._syncer.restore()
        await self._charging.restore(self._store, self._clock.now())
        await self._usage_poller.restore()
        if self.plan.table is None:
            earlier = await asyncio.to_thread(self._tables_on_disk)
            now = self._clock.now()
            for table, sha256 in sorted(earlier, key=lambda one: one[0].header.valid_from, reverse=True):
                if self.plan.offer_earlier_table(table, sha256, now):
                    _log.info("price_list_installed", name=table.rules.price_list, version=table.rules.version)
                    return

    def _tables_on_disk(self) -> list[tuple[RateTable, str]]:
        found = []
        for path in self._price_lists.glob("*.deck"):
            with contextlib.suppress(PriceListError, OSError):
                found.append((self._old_table(path.stem), path.stem))
        return found

    async def _changed(self, change: Change) -> None:
        if change.subscription is not None:
            self.plan.use_subscription(change.subscription, self._clock.now())
            self._targets.use(
                [
                    Wanted(one.id, one.domain, tuple(one.targets), tuple(change.subscription.profile.transports))
                    for one in change.subscription.registrations
                ]
            )
            self._charging.use_subscription(change.subscription)
            self.calls.look_at_grants()
            self._usage_poller.soon()
            for refused in self.plan.refused:
                _log.warning("subscription_part_refused", what=refused.what, code=refused.code, limit=refused.limit)
            self._configure()
        self._view.touch()

    def _old_table(self, sha256: str) -> RateTable:
        table = self._old_tables.get(sha256)
        if table is None:
            path = self._syncer.path_of(sha256)
            table = open_or_build(path, path.with_suffix(".table"))
            self._old_tables[sha256] = table
        return table

    async def _lists_in_use(self) -> set[str]:
        calls = await self._store.open_calls()
        later = {basis.price_list_sha256 for call in calls for basis in call.later}
        return later | {call.price_list_sha256 for call in calls if call.price_list_sha256}

    def _usage_told(self, usage: Usage) -> None:
        self._charging.observe(usage)
        self.calls.look_at_grants()
        self._view.touch()

    def _spare_price_lists(self) -> list[Path]:
        in_use = self.calls.price_lists_in_use()
        return [] if in_use is None else self._syncer.spare_files({*in_use, self.plan.table_sha256})

    def _news(self) -> None:
        self._view.touch()

    async def _recorded(self, cdr: Cdr) -> None:
        self._usage_poller.soon()
        self._view.count(cdr)
        self._upload_wake.set()
        if not cdr.time_trusted and self._clock.anchor_of(cdr.boot_id) is not None:
            self._corrections.look_again()

    async def _serve_page(self) -> None:
        """Show the page; without its port the business goes on and the page is tried again."""
        while True:
            try:
                await self._page.start()
            except PageError as error:
                _log.error("page_not_shown", detail=str(error))
                await asyncio.sleep(_PAGE_RETRY_S)
            else:
                return

    # --- housekeeping ------------------------------------------------------------------------------------------------

    async def _recount_usage(self) -> None:
        """Take what the store has counted again, where records were corrected or the month is known only now."""
        while True:
            await self._recount.wait()
            self._recount.clear()
            try:
                await self._charging.restore(self._store, self._clock.now())
            except StoreError as error:
                _log.error("usage_not_counted", detail=str(error))
                await asyncio.sleep(_STORE_RETRY_S)
                self._recount.set()

    async def _purge(self) -> None:
        while True:
            moment = self._clock.now()
            if moment.trusted:
                try:
                    # What was acknowledged before the time was known seems old: it may still have to be corrected.
                    await self._corrections.make()
                    await self._store.purge(rfc3339(moment.wall - self._config.store.keep_days * _DAY))
                except StoreError as error:
                    _log.error("purge_failed", detail=str(error))
            await asyncio.sleep(_PURGE_S)

    async def _operators_time(self) -> datetime:
        _, time = await self._operator.health()
        return time

    def _tell_time(self) -> None:
        """Let the telephones show the time with a caller; they set their clocks by it."""
        if self._gateway.connected and (word := self._telephone_clock.word(self._clock.now())) is not None:
            with contextlib.suppress(GatewayUnavailableError):
                self._gateway.send(word)

    def _time_known(self) -> None:
        self._tell_time()
        self._recount.set()
        self._corrections.look_again()
        self._view.touch()

    async def _reprice(self, cdr: Cdr, began_at: datetime) -> tuple[Price | None, str] | None:
        """The price of a recorded call that began at another time than was thought; None without any price list."""
        if self.plan.table is None and not self.plan.plain:
            return None
        version = cdr.price.version if cdr.price is not None else ""
        call = self.plan.on_its_day(reopened(cdr, began_at), cdr.duration_ms, version=version)
        return self._charging.price_again(call, cdr.price, cdr.duration_ms)

    def _corrected(self, _correction: Cdr) -> None:
        self._recount.set()
        self._upload_wake.set()
        self._view.touch()

    async def _turn_days(self) -> None:
        """At civil midnight the product may change or the subscription end; the wall clock may also be put right."""
        seen = self.plan.term
        self._match_price_list()
        while True:
            # A call that is asked for just after midnight may have turned the day already.
            self.plan.turn(self._clock.now())
            if self.plan.term != seen:
                seen = self.plan.term
                _log.info("subscription_turned", product=self.plan.product, ended=self.plan.ended)
                self._match_price_list()
                self._configure()
                self._view.touch()
            self._tell_time()
            await self._prepare_next_list()
            await asyncio.sleep(_DAY_CHECK_S)

    async def _prepare_next_list(self) -> None:
        """Build the table of the list that was fetched ahead: a call over midnight must not have to wait for it."""
        subscription = self.plan.subscription
        info = subscription.next_price_list if subscription is not None else None
        if info is None or info.sha256 in self._old_tables or info.sha256 in self._unprepared:
            return
        path = self._syncer.path_of(info.sha256)
        if not await asyncio.to_thread(path.exists):
            return
        try:
            self._old_tables[info.sha256] = await asyncio.to_thread(open_or_build, path, path.with_suffix(".table"))
        except (PriceListError, OSError) as error:
            self._unprepared.add(info.sha256)
            _log.error("price_list_not_prepared", name=info.name, version=info.version, reason=str(error))

    def _match_price_list(self) -> None:
        table = self.plan.table
        if table is not None and not self.plan.ended and self.plan.product not in table.header.products:
            self._syncer.product_turned()

    async def _obey_requests(self) -> None:
        """Let records that were set apart wait again where a technician asks for it."""
        folder = Path(self._config.store.folder)
        while True:
            try:
                request = await asyncio.to_thread(outbox_request.read, folder)
                if request is not None:
                    records = await self._store.requeue(request.ids)
                    await asyncio.to_thread(outbox_request.done, folder)
                    _log.info("quarantined_records_queued_again", records=records)
                    self._uploader.retry_now()
                    self._view.touch()
            except (outbox_request.RequestError, StoreError) as error:
                _log.error("request_not_obeyed", detail=str(error))
                await asyncio.sleep(_RETRY_REQUEST_S)
            await asyncio.sleep(outbox_request.LOOK_S)

    async def _watchdog(self) -> None:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(_WATCHDOG_S)


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def spread_s(within_s: int, boot_ms: int) -> float:
    """How far the first upload is spread: only where the machine has just begun, not where the agent alone has."""
    return float(within_s) if boot_ms < within_s * 1000 else 0.0


async def _serve(path: Path) -> int:
    orders = Orders()
    orders.listen()
    settings: Settings | None = load_settings(path)
    while settings is not None:
        store = await _open_store(settings, path, orders)
        if store is None:
            return EXIT_OK
        try:
            settings = await Agent(settings, path, store).run(orders)
        except* StoreError as failed:
            # One of the parts met it; the reason is what the journal and a technician need, not where.
            raise _first(failed) from None
        finally:
            await store.close()
        if settings is not None:
            _log.info("configuration_reloaded")
    return EXIT_OK


async def _open_store(settings: Settings, path: Path, orders: Orders) -> Store | None:
    """The store, however long that takes; None where the agent is told to stop meanwhile. Raises StoreError.

    A new configuration does not help a store that can't be opened: SIGHUP ends the agent, to be started with it.
    """
    try:
        return await Store.open(Path(settings.config.store.folder))
    except (StoreLocked, StoreTooNew):
        raise
    except StoreError as error:
        standby = asyncio.ensure_future(Standby(settings.config, path).opened(error))
    order = asyncio.ensure_future(orders.next())
    await asyncio.wait((standby, order), return_when=asyncio.FIRST_COMPLETED)
    if not order.done():
        order.cancel()
        return standby.result()
    standby.cancel()
    with contextlib.suppress(asyncio.CancelledError, StoreError):
        await (await standby).close()
    return None


def _first(failed: BaseExceptionGroup[StoreError]) -> StoreError:
    """The first error of a group of store errors, however deep the tasks have nested it."""
    inner = failed.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def main(path: Path) -> int:
    """Run the agent until told to stop. Exit codes: 0 stopped, 1 failed, 2 wrong configuration, 3 a part is missing."""

    def complain(error: Exception) -> None:
        sys.stderr.write("".join(f"iplink-agent agent: {line}\n" for line in str(error).splitlines()))

    try:
        return asyncio.run(_serve(path))
    except ConfigError as error:
        complain(error)
        return EXIT_BAD_INPUT
    except (DataError, TextError) as error:
        complain(error)
        return EXIT_MISSING
    except StoreError as error:
        complain(error)
        return EXIT_FAILED
