"""Subscription and price list: the newest that is good is in force, and the last good one when the operator is away."""

import asyncio
import hashlib

import msgspec
import pytest

from agent.operator.api import FileInfo, Registration, Subscription
from agent.operator.errors import Broken, Refused, Unreachable
from agent.operator.partial import PartialFile, StorageError
from agent.operator.sync import Change, Syncer
from agent.operator.trouble import Trouble


class Documents:
    def __init__(self):
        self.bodies = {}
        self.broken = None

    async def put_document(self, name, body):
        if self.broken:
            raise self.broken
        self.bodies[name] = body

    async def document(self, name):
        return self.bodies.get(name)


def info_of(body, version="1"):
    return FileInfo(name="privat.csv", version=version, length=len(body), sha256=hashlib.sha256(body).hexdigest())


def subscription_of(body, revision="1"):
    registration = Registration(
        id="privat", user="u", domain="sip.example", auth_user="u", password="hemmelig", targets=["sip.example:5060"]
    )
    return Subscription(
        revision=revision,
        customer="c1",
        product="privat",
        registrations=[registration],
        numbers=[],
        lines=[],
        price_list=info_of(body),
    )


class Source:
    """An operator that publishes one subscription and its price list."""

    def __init__(self, body=b"list one"):
        self.publish(body)
        self.error = None
        self.download_error = None
        self.downloads = 0

    def publish(self, body, revision="1"):
        self.body = body
        self.told = subscription_of(body, revision)

    async def subscription(self):
        if self.error:
            raise self.error
        return self.told

    async def download(self, info, target):
        if self.download_error:
            raise self.download_error
        self.downloads += 1
        partial = PartialFile.begin(target)
        partial.write(self.body)
        partial.finish()


class Agent:
    """What the composition root does with it: a table in force, and a note of every change."""

    def __init__(self):
        self.in_force = None
        self.changes = []
        self.refuse = set()
        self.trouble = None

    async def install(self, path, info):
        if self.trouble:
            raise self.trouble
        body = path.read_bytes()
        if body in self.refuse:
            raise ValueError("row 3: rate is negative")
        self.in_force = body

    async def on_change(self, change):
        self.changes.append(change)


class Home:
    """One adapter that can be restarted."""

    def __init__(self, folder, clock):
        self.source = Source()
        self.documents = Documents()
        self.folder = folder
        self.clock = clock
        self.used = set()
        self.restart()

    def restart(self):
        self.agent = Agent()
        self.syncer = Syncer(
            self.source,
            self.documents,
            self.folder,
            install=self.install,
            on_change=self.agent.on_change,
            uniform=lambda low, high: high,
            clock=self.clock,
            wake=asyncio.Event(),
            in_use=self.in_use,
            permanent=(ValueError,),
        )

    async def install(self, path, info):
        await self.agent.install(path, info)

    async def in_use(self):
        return self.used

    async def next_sync(self):
        delay = await self.syncer.step()
        self.clock.advance(delay + 0.001)
        return delay

    def lists(self):
        return sorted(path.read_bytes() for path in self.folder.glob("*.deck"))


@pytest.fixture
def home(tmp_path, clock):
    return Home(tmp_path / "lists", clock)


async def test_the_first_sync_brings_everything_and_tells_of_it(home):
    await home.syncer.restore()
    assert home.agent.changes == []
    delay = await home.syncer.step()
    assert home.agent.in_force == b"list one"
    assert home.agent.changes == [Change(subscription=home.source.told), Change(price_list=home.source.told.price_list)]
    assert home.syncer.subscription == home.source.told
    assert home.syncer.status.last_success == "2026-03-01T12:00:00+00:00"
    assert home.syncer.status.last_error is None
    assert delay == 1.2 * (6 * 3600)


async def test_what_is_the_same_is_neither_fetched_nor_told_again(home):
    await home.next_sync()
    await home.next_sync()
    assert home.source.downloads == 1
    assert len(home.agent.changes) == 2


async def test_nothing_is_asked_before_its_time(home):
    await home.syncer.step()
    home.source.error = AssertionError("asked too soon")
    assert await home.syncer.step() > 0


async def test_when_the_operator_is_away_for_weeks_the_last_good_ones_are_used(home):
    await home.next_sync()
    home.source.error = Unreachable("gone")
    home.restart()
    await home.syncer.restore()
    for _ in range(100):
        assert await home.next_sync() <= 900
    assert home.agent.in_force == b"list one"
    assert home.agent.changes == [Change(home.source.told, home.source.told.price_list)]
    assert home.syncer.status.last_error is Trouble.UNREACHABLE


async def test_a_new_list_replaces_the_old_and_the_old_is_kept(home):
    for number in (b"list one", b"list two", b"list three"):
        home.source.publish(number, number.decode())
        await home.next_sync()
    assert home.agent.in_force == b"list three"
    assert home.lists() == [b"list three", b"list two"]


async def test_a_list_that_prices_a_call_in_progress_is_not_removed(home):
    home.used = {info_of(b"list one").sha256}
    for number in (b"list one", b"list two", b"list three"):
        home.source.publish(number, number.decode())
        await home.next_sync()
    assert home.lists() == [b"list one", b"list three", b"list two"]
    assert home.syncer.path_of(info_of(b"list one").sha256).read_bytes() == b"list one"


async def test_what_was_built_from_a_list_goes_with_it(home):
    for number in (b"list one", b"list two", b"list three"):
        home.source.publish(number, number.decode())
        await home.next_sync()
        home.syncer.path_of(info_of(number).sha256).with_suffix(".table").write_bytes(number)
    home.source.publish(b"list four", "4")
    await home.next_sync()
    assert sorted(path.read_bytes() for path in home.folder.glob("*.table")) == [b"list three"]


async def test_when_nobody_can_say_what_is_in_use_nothing_is_removed_and_the_sync_goes_on(home):
    async def unknown():
        raise OSError("disk")

    home.syncer._in_use = unknown
    for number in (b"list one", b"list two", b"list three"):
        home.source.publish(number, number.decode())
        await home.next_sync()
    assert len(home.lists()) == 3
    assert home.syncer.status.last_error is None


async def test_a_list_that_is_refused_changes_nothing_and_is_not_fetched_again(home):
    await home.next_sync()
    home.agent.refuse.add(b"list two")
    home.source.publish(b"list two", "2")
    await home.next_sync()
    await home.next_sync()
    assert home.agent.in_force == b"list one"
    assert home.lists() == [b"list one"]
    assert home.source.downloads == 2
    assert home.syncer.status.last_error is Trouble.PRICE_LIST_REFUSED
    assert "row 3" in home.syncer.status.detail
    assert home.syncer.subscription.revision == "2"
    home.source.publish(b"list three", "3")
    await home.next_sync()
    assert home.agent.in_force == b"list three"
    assert home.syncer.status.last_error is None


async def test_a_list_that_only_this_version_refuses_is_left_on_disk_for_the_calls_it_prices(home):
    for number in (b"list one", b"list two"):
        home.source.publish(number, number.decode())
        await home.next_sync()
    home.restart()
    home.agent.refuse.add(b"list two")
    await home.syncer.restore()
    await home.next_sync()
    assert home.agent.in_force == b"list one"
    assert home.lists() == [b"list one", b"list two"]
    assert home.syncer.status.last_error is Trouble.PRICE_LIST_REFUSED


async def test_when_the_operator_takes_a_refused_list_back_all_is_well_again(home):
    await home.next_sync()
    home.agent.refuse.add(b"list two")
    home.source.publish(b"list two", "2")
    await home.next_sync()
    home.source.publish(b"list one", "3")
    await home.next_sync()
    assert home.syncer.status.last_error is None


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"list twO")])
async def test_a_damaged_list_on_disk_yields_to_the_one_before_until_it_is_fetched_anew(home, damage):
    await home.next_sync()
    home.source.publish(b"list two", "2")
    await home.next_sync()
    damage(home.syncer.path_of(info_of(b"list two").sha256))
    home.restart()
    await home.syncer.restore()
    assert home.agent.in_force == b"list one"
    await home.next_sync()
    assert home.agent.in_force == b"list two"


async def test_a_broken_download_leaves_the_old_list_and_is_tried_again(home):
    await home.next_sync()
    home.source.publish(b"list two", "2")
    home.source.download_error = Broken("wrong SHA-256", 200)
    assert await home.next_sync() <= 900
    assert home.agent.in_force == b"list one"
    assert home.syncer.status.last_error is Trouble.BROKEN
    home.source.download_error = None
    await home.next_sync()
    assert home.agent.in_force == b"list two"


async def test_a_refused_device_asks_seldom(home):
    home.source.error = Refused("who")
    delay = await home.syncer.step()
    assert delay >= 900
    home.source.error = None
    assert 0 < await home.syncer.step() <= delay
    assert home.agent.in_force is None
    home.clock.advance(delay)
    await home.syncer.step()
    assert home.agent.in_force == b"list one"


async def test_a_full_disk_is_told_and_what_could_not_be_kept_is_kept_later(home):
    await home.next_sync()
    home.source.publish(b"list two", "1")
    home.source.told = msgspec.structs.replace(subscription_of(b"list one"), price_list=info_of(b"list two"))
    home.source.download_error = StorageError("could not write x: No space left on device")
    await home.next_sync()
    assert home.syncer.status.last_error is Trouble.STORAGE
    home.source.download_error = None
    await home.next_sync()
    assert home.agent.in_force == b"list two"
    home.restart()
    await home.syncer.restore()
    assert home.agent.in_force == b"list two"


async def test_a_list_in_force_that_could_not_be_recorded_is_recorded_at_the_next_sync(home):
    await home.next_sync()
    home.source.publish(b"list two", "1")
    install = home.agent.install

    async def install_and_fill_the_disk(path, info):
        await install(path, info)
        home.documents.broken = OSError("disk full")

    home.agent.install = install_and_fill_the_disk
    await home.next_sync()
    assert home.syncer.status.last_error is Trouble.STORAGE
    home.documents.broken = None
    await home.next_sync()
    home.restart()
    await home.syncer.restore()
    assert home.agent.in_force == b"list two"


async def test_documents_this_version_does_not_understand_are_as_good_as_none(home):
    await home.next_sync()
    home.documents.bodies = {"subscription": b"\xff", "price_lists": b'{"lists": 3}'}
    home.restart()
    await home.syncer.restore()
    assert home.syncer.subscription is None
    assert home.agent.changes == []
    await home.next_sync()
    assert home.agent.in_force == b"list one"


def test_a_subscription_shows_its_passwords_to_nobody():
    assert "hemmelig" not in repr(subscription_of(b"x"))
    assert "hemmelig" not in repr(Change(subscription=subscription_of(b"x")))


async def test_a_list_refused_for_a_reason_that_passes_is_tried_again_soon_without_fetching_it_anew(home):
    await home.next_sync()
    home.source.publish(b"list two", "2")
    home.agent.trouble = OSError("No space left on device")
    for _ in range(3):
        assert await home.next_sync() <= 900
    assert home.agent.in_force == b"list one"
    assert home.syncer.status.last_error is Trouble.PRICE_LIST_REFUSED
    assert home.syncer.status.failures == 3
    home.agent.trouble = None
    assert await home.next_sync() > 900
    assert home.agent.in_force == b"list two"
    assert home.syncer.status.last_error is None
    assert home.source.downloads == 2


async def test_lists_refused_for_now_do_not_pile_up_on_the_disk(home):
    await home.next_sync()
    home.agent.trouble = OSError("No space left on device")
    for number in (b"list two", b"list three", b"list four"):
        home.source.publish(number, number.decode())
        await home.next_sync()
    assert home.lists() == [b"list four", b"list one"]


async def test_a_refused_list_is_tried_again_when_the_subscription_has_changed(home):
    await home.next_sync()
    home.source.publish(b"list two", "2")
    home.agent.refuse.add(b"list two")
    await home.next_sync()
    assert home.syncer.status.last_error is Trouble.PRICE_LIST_REFUSED
    home.agent.refuse.clear()
    home.source.publish(b"list two", "3")
    await home.next_sync()
    assert home.agent.in_force == b"list two"
    assert home.syncer.status.last_error is None


# --- the list of the product that comes next ------------------------------------------------------------------------

NEXT = b"list of the next product"


class Announced(Source):
    """An operator that publishes the next product's list beside this one's."""

    def __init__(self):
        super().__init__()
        self.told = msgspec.structs.replace(self.told, next_price_list=info_of(NEXT, "next"))

    async def download(self, info, target):
        self.body = NEXT if info == self.told.next_price_list else b"list one"
        await super().download(info, target)


@pytest.fixture
def announced(home):
    home.source = Announced()
    home.restart()
    return home


async def test_the_next_list_is_fetched_ahead_and_prices_nothing_yet(announced):
    await announced.next_sync()
    assert announced.lists() == [b"list of the next product", b"list one"]
    assert announced.agent.in_force == b"list one"
    await announced.next_sync()
    assert announced.source.downloads == 2


async def test_the_next_list_comes_into_force_without_the_operator_when_the_product_turns(announced):
    await announced.next_sync()
    announced.source.error = Unreachable("the operator is away")
    announced.syncer.product_turned()
    await announced.syncer.step()
    assert announced.agent.in_force == NEXT
    assert announced.syncer.price_list == announced.source.told.next_price_list
    announced.restart()
    await announced.syncer.restore()
    assert announced.agent.in_force == NEXT


async def test_a_turn_without_a_list_at_hand_leaves_the_old_one_in_force(announced):
    announced.source.download_error = Unreachable("the operator is away")
    await announced.syncer.step()
    announced.syncer.product_turned()
    await announced.syncer.step()
    assert announced.agent.in_force is None
    announced.source.download_error = None
    announced.clock.advance(3600)
    await announced.syncer.step()
    assert announced.agent.in_force == b"list one"


async def test_a_list_that_came_too_early_for_the_product_is_tried_again_when_it_has_turned(home):
    home.agent.refuse.add(b"list one")
    await home.next_sync()
    assert home.agent.in_force is None
    home.agent.refuse.clear()
    home.syncer.product_turned()
    await home.next_sync()
    assert home.agent.in_force == b"list one"


async def test_the_next_list_survives_the_tidying_of_old_ones(announced):
    await announced.next_sync()
    first = announced.source.told
    announced.source.publish(b"list two", "2")
    announced.source.told = msgspec.structs.replace(announced.source.told, next_price_list=first.next_price_list)

    async def download(info, target):
        partial = PartialFile.begin(target)
        partial.write(b"list two")
        partial.finish()

    announced.source.download = download
    await announced.next_sync()
    assert announced.agent.in_force == b"list two"
    assert NEXT in announced.lists()


async def test_a_turn_that_fails_for_a_reason_that_passes_is_tried_again_soon(announced):
    await announced.next_sync()
    announced.agent.trouble = OSError("No space left on device")
    announced.syncer.product_turned()
    assert await announced.next_sync() <= 900
    assert announced.agent.in_force == b"list one"
    announced.agent.trouble = None
    announced.source.error = Unreachable("the operator is away")
    await announced.next_sync()
    assert announced.agent.in_force == NEXT
