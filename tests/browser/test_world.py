"""The page of a real adapter in a real browser, while a telephone is used and the adapter's agent dies."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal

import aiohttp
import pytest
import pytest_asyncio

from agent.lab.scene import DIAL_TONE, KARI, OWN_NUMBERS, SWEDEN, SWEDEN_DIALLED
from agent.lab.world import World

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

AUDIBLE_DBM0 = -30.0
READY_S = 30.0
NUMBERS = [number.removeprefix("+").removeprefix("47") for number in (*OWN_NUMBERS, SWEDEN, KARI)]
READY = (
    "document.querySelectorAll('[data-registered=yes]').length === 2"
    " && !!document.querySelector('[data-card=up]') && document.querySelector('#headline [data-state=good]')"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory):
    """A household, its operator and its friends, all real processes."""
    folder = tmp_path_factory.mktemp("world")
    async with World(folder, lambda who, message: None) as world:
        yield world
    shutil.rmtree(folder, ignore_errors=True)


async def lift_and_dial(phone, digits: str) -> None:
    phone.off_hook()
    assert await asyncio.to_thread(phone.wait_for, lambda: phone.hears(DIAL_TONE) > AUDIBLE_DBM0, 10), "no dial tone"
    phone.dial(digits, 60, 50)


@contextlib.asynccontextmanager
async def watching(chromium, world, **wishes):
    """A tab on the adapter's page, once that answers and all is well."""
    async with chromium.tab(**wishes) as tab:

        async def answers():
            return await world.status() is not None

        await tab.until("an adapter that answers", answers, READY_S)
        await tab.open(world.scene.page)
        await tab.sees("that everything works", f"!!({READY})", READY_S)
        yield tab


def kroner(shown: str) -> int:
    """Øre of a price as the Norwegian page writes it."""
    amount, unit = shown.replace("\u00a0", " ").rsplit(" ", 1)
    assert unit == "kr"
    whole, part = amount.split(",")
    return int(whole) * 100 + int(part)


async def test_browser_watches_a_call_from_the_first_digit_to_the_delivered_record(chromium, world) -> None:
    phone = world.phones[0]
    async with watching(chromium, world) as tab:
        await lift_and_dial(phone, SWEDEN_DIALLED)
        call = await tab.sees("a call", "document.querySelector('[data-call]')?.dataset.call")
        await tab.sees("that it is answered", "!!document.querySelector('[data-call] [data-state=good]')")
        line = await tab.sees("line 1 in a call", "document.querySelector('[data-line=\"1\"] :nth-child(4)').innerText")
        assert "I samtale" in line
        # The first price of an answered call is 0,00 kr; the record's price is compared with what is shown last.
        costly = "new Set(witness.prices.filter((price) => /[1-9]/.test(price))).size"
        await tab.sees("two prices that are more than nothing", f"{costly} >= 2", 20)
        await tab.picture("call")
        phone.on_hook()
        await tab.sees("the end of the call", "!document.querySelector('[data-call]')")
        row = f"document.querySelector('[data-cdr=\"{call}\"]')"
        await tab.sees("its record, delivered", f"{row}?.dataset.upload === 'acknowledged'", 20)
        await tab.picture("record")

        prices = [kroner(price) for price in await tab.ask("witness.prices") if price != "–"]
        assert len(set(prices)) >= 3
        assert prices == sorted(prices), "a running price never falls"
        assert await tab.ask(f"{row}.dataset.cause") == "normal"
        recorded = await tab.ask(f"{row}.querySelector('[data-label=Pris]').innerText")
        # The handset was down half a second before anybody could know that this was not R: what was shown last may
        # have counted that.
        assert kroner(recorded) >= prices[-1] - 1 > 0
        assert kroner(await tab.text("[data-sum=today]")) == kroner(recorded)
        assert "levert" in await tab.ask(f"{row}.innerText")
        assert "+46 8" in await tab.ask(f"{row}.innerText")

        assert tab.loads == 1, "the page was reloaded"
        pages = await tab.ask("witness.texts")
        assert len(pages) > 5
        for html in pages:
            for number in NUMBERS:
                assert number not in html.replace(" ", "").replace("\u00a0", "")
        assert await tab.ask("witness.violations") == []
        assert await tab.ask("witness.stale") == []
        assert tab.complaints == []
        assert {"/".join(address.split("/")[:3]) + "/" for address in tab.asked} == {world.scene.page}


async def test_browser_says_that_the_agent_is_gone_and_finds_it_again(chromium, world) -> None:
    async with watching(chromium, world, accept="en") as tab:
        world.agent.hold()
        world.agent.signal(signal.SIGKILL)
        try:
            await tab.sees(
                "that it lost contact", "document.querySelector('#stale').innerText.includes('lost contact')"
            )
            await tab.picture("agent-gone")
        finally:
            world.agent.let_go()
        await tab.sees("the adapter again", "document.querySelector('#stale').innerText === ''", READY_S)
        await tab.sees("that everything works", f"!!({READY})", READY_S)
        assert "Everything works" in await tab.text("#headline")
        assert tab.loads == 1
        assert await tab.ask("witness.violations") == []


async def test_real_adapter_refuses_a_strangers_host_name(chromium, world, stranger) -> None:
    port = world.scene.page_port
    async with aiohttp.ClientSession() as http:
        for path in ("/", "/api/status.json", "/events", "/metrics"):
            async with http.get(f"http://127.0.0.1:{port}{path}", headers={"Host": f"{stranger}:{port}"}) as answer:
                assert answer.status == 421
                assert "+47" not in await answer.text()
    async with chromium.tab() as tab:
        await tab.open(f"http://{stranger}:{port}/")
        assert "Bruk adapterens adresse" in await tab.text("body")
