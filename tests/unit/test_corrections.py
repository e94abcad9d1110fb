"""Calls while the system clock is wrong, stepped and put right: each is dated, counted and priced as it truly was."""

import asyncio
import itertools
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import records
from agent.calls import Calls, Judgement
from agent.clock import LARGE, Clock, Reading, TimeSource
from agent.core.cdr import Price
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party
from agent.corrections import Corrections
from agent.gateway.protocol import PROTOCOL_VERSION, CallState, Decide, Hello
from agent.store.records import counted, taken_back

OSLO = ZoneInfo("Europe/Oslo")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NeverError(Exception):
    """Not raised here."""


class MemoryStore:
    """Keeps records and usage as the real store does, in memory."""

    def __init__(self):
        self.open, self.cdrs, self.periods = {}, {}, {}
        self.usage = Counter()

    async def open_call(self, call):
        self.open.setdefault(call.id, call)

    async def mark_answered(self, call_id, answered_ms):
        self.open[call_id] = msgspec.structs.replace(self.open[call_id], answered_ms=answered_ms)

    async def mark_alive(self, call_ids, boot_ms):
        for call_id in call_ids:
            self.open[call_id] = msgspec.structs.replace(self.open[call_id], last_alive_ms=boot_ms)

    async def open_calls(self):
        return list(self.open.values())

    async def finish(self, cdr, month, day):
        self.open.pop(cdr.id, None)
        if cdr.id in self.cdrs:
            return False
        self._keep(cdr, (month, day))
        return True

    async def known(self, call_id):
        return call_id in self.cdrs

    async def undated(self, after, limit):
        found = sorted((one for one in self.cdrs.values() if not one.time_trusted), key=lambda one: one.id)
        return [one for one in found if one.id > after][:limit]

    async def correct(self, cdr, month, day):
        if cdr.id in self.cdrs or cdr.corrects not in self.cdrs:
            return False
        self._add(taken_back(cdr), self.periods[cdr.corrects])
        self._keep(cdr, (month, day))
        return True

    def _keep(self, cdr, periods):
        self.cdrs[cdr.id], self.periods[cdr.id] = cdr, periods
        self._add(counted(cdr), periods)

    def _add(self, row, periods):
        if row is not None:
            for period in periods:
                self.usage[period, "calls"] += row.calls
                self.usage[period, "seconds"] += row.seconds
                self.usage[period, "micro"] += row.amount_micro

    def standing(self):
        corrected = {one.corrects for one in self.cdrs.values()}
        return [one for one in self.cdrs.values() if one.id not in corrected]


def rate_micro(answered):
    """A krone a second on weekdays, half at the weekend, by civil time."""
    return 500_000 if answered.astimezone(OSLO).isoweekday() > 5 else 1_000_000


def price_of(answered, duration_ms):
    seconds = -(-duration_ms // 1000)
    return Price(
        product="privat", price_list="test", version="1", prefix="46", destination="Sweden", currency="NOK",
        vat="included", amount_micro=seconds * rate_micro(answered), exact="0/1", billed_s=seconds, steps=[],
    )  # fmt: skip


class House:
    """An adapter and the true time, of which it knows only what it is told."""

    def __init__(self, truth):
        self.truth, self.boot_number, self.boot_ms = truth, 1, 20_000
        self.system, self.synchronised = EPOCH, False
        self.clock = self._new_clock()
        self.store = MemoryStore()
        self.has_price_list = True
        self.corrected, self.some_corrected = [], asyncio.Event()
        self._ids = itertools.count(1)
        self.began, self.durations, self.live = {}, {}, {}
        self._new_agent()

    def _new_clock(self):
        return Clock(lambda: Reading(self.boot_ms, self.system, self.synchronised), lambda: f"boot-{self.boot_number}")

    def _new_agent(self):
        self.calls = Calls(
            store=self.store, judge=self, send=lambda _: None, now=self.clock.now, zone=OSLO, recorded=self._recorded,
            troubles=(NeverError,), unsendable=NeverError, anchor_of=self.clock.anchor_of,
        )  # fmt: skip
        self.corrections = Corrections(
            self.store, anchor_of=self.clock.anchor_of, reprice=self._reprice, zone=OSLO,
            corrected=self._note_corrected, troubles=(NeverError,),
        )  # fmt: skip

    def _note_corrected(self, cdr):
        self.corrected.append(cdr)
        self.some_corrected.set()

    async def _recorded(self, cdr):
        assert cdr.duration_ms >= 0

    # --- admission and price -----------------------------------------------------------------------------------------

    def judge(self, state, now):
        return Judgement(Decide(call_id=state.call_id, granted=True, until_ms=now.boot_ms + 10**9), "privat", "list")

    def basis(self):
        return "privat", "list"

    def on_its_day(self, call, duration_ms):
        day = datetime.fromisoformat(call.began_at).astimezone(OSLO).date()
        return msgspec.structs.replace(call, price_list_sha256=f"list of {day}")

    def price(self, call, duration_ms):
        price = price_of(records.answered_at(call.began_at, call.began_ms, call.answered_ms), duration_ms)
        return msgspec.structs.replace(price, version=call.price_list_sha256), ""

    async def _reprice(self, cdr, began_at):
        if not self.has_price_list:
            return None
        return self.price(self.on_its_day(records.reopened(cdr, began_at), cdr.duration_ms), cdr.duration_ms)

    # --- what happens ------------------------------------------------------------------------------------------------

    async def greet(self):
        await self.calls.reconcile(
            Hello(protocol=PROTOCOL_VERSION, instance=f"g{self.boot_number}", boot_id=f"boot-{self.boot_number}",
                  version="0")
        )  # fmt: skip

    def pass_time(self, ms):
        self.boot_ms += ms
        self.truth += timedelta(milliseconds=ms)
        self.system += timedelta(milliseconds=ms)
        self.clock.now()

    def step(self, delta):
        """Somebody sets the clock, which ends its discipline."""
        self.synchronised = False
        self.system = max(EPOCH, self.system + delta)

    def synchronise(self):
        self.system, self.synchronised = self.truth, True

    def operator_tells(self):
        self.clock.confirm(self.truth, self.boot_ms, self.boot_ms)

    async def begin(self):
        call_id = str(uuid.UUID(int=next(self._ids)))
        state = CallState(
            call_id=call_id, direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="line1",
            own_number="+4721000001", number="+4681234567", phase=CallPhase.ASKED, asked_ms=self.boot_ms,
        )  # fmt: skip
        self.began[call_id] = self.truth
        await self.calls.reconcile(state)
        self.pass_time(3000)
        self.live[call_id] = msgspec.structs.replace(state, phase=CallPhase.ANSWERED, answered_ms=self.boot_ms)
        await self.calls.reconcile(self.live[call_id])
        return call_id

    async def end(self, call_id):
        state = self.live.pop(call_id)
        self.durations[call_id] = self.boot_ms - state.answered_ms
        await self.calls.reconcile(
            msgspec.structs.replace(
                state, phase=CallPhase.ENDED, ended_ms=self.boot_ms, cause=Cause.NORMAL, released_by=Party.LOCAL
            )
        )

    async def power_cut(self, off_s):
        """Everything in memory is gone, and the clock with it."""
        for call_id, state in self.live.items():
            await self.store.mark_alive([call_id], self.boot_ms)
            self.durations[call_id] = self.boot_ms - state.answered_ms
        self.live.clear()
        kept = self.clock.kept()
        self.truth += timedelta(seconds=off_s)
        self.boot_number, self.boot_ms = self.boot_number + 1, 15_000
        self.system, self.synchronised = EPOCH, False
        self.clock = self._new_clock()
        self.clock.restore(kept)
        self._new_agent()
        await self.greet()

    # --- what must be true -------------------------------------------------------------------------------------------

    def check(self, *, dated=lambda _: True):
        """Each call stands once, as long as it was, where and when and at the price that it truly had."""
        standing = {one.corrects or one.id: one for one in self.store.standing()}
        assert standing.keys() == self.began.keys()
        usage = Counter()
        for call_id, cdr in standing.items():
            assert cdr.duration_ms == self.durations[call_id]
            if dated(cdr):
                assert cdr.time_trusted
                assert abs(datetime.fromisoformat(cdr.began_at) - self.began[call_id]) <= LARGE + LARGE
            if cdr.duration_ms:
                answered = datetime.fromisoformat(cdr.answered_at)
                assert cdr.price.amount_micro == price_of(answered, cdr.duration_ms).amount_micro
                for period in records.period_of(cdr.began_at, OSLO):
                    usage[period, "calls"] += 1
                    usage[period, "seconds"] += -(-cdr.duration_ms // 1000)
                    usage[period, "micro"] += cdr.price.amount_micro
        assert +self.store.usage == usage
        assert min(self.store.usage.values(), default=0) >= 0


def house(truth=datetime(2026, 11, 20, 22, 0, tzinfo=UTC)):
    return House(truth)


# --- the stories ---------------------------------------------------------------------------------------------------


async def test_a_call_that_ends_before_the_time_is_known_is_corrected_afterwards():
    home = house()
    await home.greet()
    call_id = await home.begin()
    home.pass_time(61_000)
    await home.end(call_id)
    (cdr,) = home.store.cdrs.values()
    assert (cdr.time_trusted, cdr.time_source) == (False, "")
    assert await home.corrections.make() == 0
    home.pass_time(5000)
    home.operator_tells()
    assert await home.corrections.make() == 1
    (correction,) = home.corrected
    assert (correction.corrects, correction.time_source) == (cdr.id, TimeSource.OPERATOR)
    assert correction.superseded.began_at == cdr.began_at
    assert home.store.cdrs[cdr.id] == cdr
    home.check()
    assert await home.corrections.make() == 0


async def test_a_call_in_progress_gets_its_beginning_when_the_time_comes():
    home = house()
    await home.greet()
    call_id = await home.begin()
    home.pass_time(5000)
    home.synchronise()
    home.pass_time(5000)
    await home.end(call_id)
    (cdr,) = home.store.cdrs.values()
    assert (cdr.time_trusted, cdr.time_source, cdr.corrects) == (True, TimeSource.KERNEL, "")
    assert cdr.price.version == "list of 2026-11-20"
    home.check()


async def test_a_call_of_an_earlier_boot_is_dated_by_that_boots_anchor():
    home = house()
    await home.greet()
    await home.begin()
    home.pass_time(30_000)
    home.operator_tells()
    await home.power_cut(off_s=3 * 86_400)
    (cdr,) = home.store.cdrs.values()
    assert cdr.recovered
    assert cdr.time_trusted
    home.check()


async def test_a_call_of_a_boot_whose_time_never_became_known_says_so():
    home = house()
    await home.greet()
    await home.begin()
    home.pass_time(30_000)
    await home.power_cut(off_s=60)
    home.operator_tells()
    assert await home.corrections.make() == 0
    (cdr,) = home.store.cdrs.values()
    assert not cdr.time_trusted
    home.check(dated=lambda _: False)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=2), timedelta(days=-400)])
async def test_a_step_during_a_call_changes_neither_its_length_nor_its_day(step):
    home = house()
    home.operator_tells()
    await home.greet()
    call_id = await home.begin()
    home.step(step)
    home.pass_time(600_000)
    await home.end(call_id)
    later = await home.begin()
    home.pass_time(1000)
    await home.end(later)
    home.check()
    began = [datetime.fromisoformat(home.store.cdrs[one].began_at) for one in (call_id, later)]
    assert began[1] - began[0] == timedelta(milliseconds=603_000)
    assert home.corrected == []


@pytest.mark.parametrize(
    "truth",
    [
        datetime(2026, 12, 31, 22, 59, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 0, 59, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 0, 59, 30, tzinfo=UTC),
        datetime(2026, 11, 20, 22, 59, 30, tzinfo=UTC),
    ],
    ids=["new year", "summer time", "winter time", "weekend"],
)
@pytest.mark.parametrize("known", ["before", "during", "after"])
async def test_around_the_edges_of_civil_time_each_call_is_where_it_belongs(truth, known):
    home = house(truth)
    await home.greet()
    if known == "before":
        home.operator_tells()
    calls = []
    for _ in range(4):
        calls.append(await home.begin())
        home.pass_time(20_000)
        await home.end(calls[-1])
        if known == "during" and len(calls) == 2:
            home.operator_tells()
    home.operator_tells()
    await home.corrections.make()
    home.check()


async def test_without_any_price_list_a_call_with_a_price_waits_for_its_correction():
    home = house()
    await home.greet()
    await home.end(await home.begin())
    home.pass_time(1000)
    call_id = await home.begin()
    home.pass_time(1000)
    await home.end(call_id)
    home.operator_tells()
    home.has_price_list = False
    assert await home.corrections.make() == 1, "the call without a second of speech costs nothing in any list"
    home.has_price_list = True
    assert await home.corrections.make() == 1
    home.check()


async def test_a_record_that_is_corrected_twice_at_once_is_corrected_once():
    home = house()
    await home.greet()
    await home.end(await home.begin())
    home.operator_tells()
    await asyncio.gather(home.corrections.make(), home.corrections.make())
    assert len(home.store.cdrs) == 2
    home.check()


async def test_corrections_are_made_whenever_there_may_be_some():
    home = house()
    await home.greet()
    task = asyncio.create_task(home.corrections.run())
    await home.end(await home.begin())
    home.operator_tells()
    home.corrections.look_again()
    await asyncio.wait_for(home.some_corrected.wait(), 10)
    task.cancel()
    home.check()


# --- the law -------------------------------------------------------------------------------------------------------

HAPPENS = st.one_of(
    st.tuples(st.just("pass"), st.integers(0, 5 * 86_400_000)),
    st.tuples(st.just("step"), st.integers(-3 * 365 * 86_400, 3 * 365 * 86_400)),
    st.tuples(st.sampled_from(["begin", "end", "synchronise", "operator", "correct"]), st.just(0)),
    st.tuples(st.just("power cut"), st.integers(10, 3 * 86_400)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(HAPPENS, max_size=25), st.integers(0, 4 * 365 * 86_400))
def test_whatever_is_done_to_the_clock_no_call_is_lost_doubled_or_mistimed(happens, after):
    async def live():
        home = house(datetime(2026, 2, 1, tzinfo=UTC) + timedelta(seconds=after))
        await home.greet()
        anchored = set()

        def note():
            if home.clock.anchor is not None:
                anchored.add(f"boot-{home.boot_number}")

        for what, amount in happens:
            match what:
                case "pass":
                    home.pass_time(amount)
                case "step":
                    home.step(timedelta(seconds=amount))
                case "begin":
                    await home.begin()
                case "end" if home.live:
                    await home.end(next(iter(home.live)))
                case "synchronise":
                    home.synchronise()
                case "operator":
                    home.operator_tells()
                case "correct":
                    await home.corrections.make()
                case "power cut":
                    home.clock.now()
                    note()
                    await home.power_cut(amount)
        for call_id in list(home.live):
            await home.end(call_id)
        home.operator_tells()
        note()
        await home.corrections.make()
        home.check(dated=lambda cdr: cdr.boot_id in anchored)

    asyncio.run(live())


def test_a_correction_says_everything_of_the_call_but_when_it_was():
    home = house()

    async def live():
        await home.greet()
        await home.end(await home.begin())
        home.operator_tells()
        await home.corrections.make()

    asyncio.run(live())
    first, second = home.store.cdrs.values()
    same = {"direction", "kind", "line", "account", "own_number", "number", "boot_id", "began_ms", "duration_ms",
            "setup_ms", "cause", "released_by", "refusal", "sip_code", "recovered", "quality"}  # fmt: skip
    assert {name: getattr(first, name) for name in same} == {name: getattr(second, name) for name in same}
