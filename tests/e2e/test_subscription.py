"""What the operator changes while the telephone is in use: more than the product allows, and new prices."""

from __future__ import annotations

import asyncio

import pytest

from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED
from agent.paths import data_dir

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

FIVE_NUMBERS = [*OWN_NUMBERS, "+4721000003", "+4721000004", "+4721000005"]


def number(own: str, line: int) -> dict[str, object]:
    return {"number": own, "registration": f"line{line + 1}", "lines": [line]}


def line(index: int) -> dict[str, object]:
    return {"line": index, "registration": f"line{index % 2 + 1}", "number": OWN_NUMBERS[index % 2]}


PLAIN = {
    "product": "privat",
    "numbers": [number(own, index) for index, own in enumerate(OWN_NUMBERS)],
    "lines": [line(0), line(1)],
}


@pytest.fixture
def shipped_list() -> bytes:
    return (data_dir() / "price-lists" / "privat.csv").read_bytes()


async def order(home, change: dict[str, object]) -> None:
    """The operator changes the subscription, and the agent asks for it."""
    await home.world.order("/lab/subscription", change)
    await home.reload()


async def test_a_third_line_is_refused_and_the_two_work(home) -> None:
    since = len(await home.received())
    await order(home, {"lines": [line(0), line(1), line(2)]})
    status = await home.sees("the refused line", lambda status: status["subscription"]["refused"])
    (refused,) = status["subscription"]["refused"]
    assert refused["key"] == "excess.too_many_lines"
    assert (refused["values"]["line"], refused["values"]["limit"]) == ("3", "2")
    await home.ready()
    await asyncio.gather(home.call(0, SWEDEN_DIALLED), home.call(1, SWEDEN_DIALLED))
    await asyncio.gather(home.hang_up(0), home.hang_up(1))
    await asyncio.gather(home.record(since, line=0), home.record(since, line=1))
    await order(home, PLAIN)
    await home.sees("nothing refused", lambda status: not status["subscription"]["refused"])


async def test_a_fifth_number_is_refused_and_the_four_work(home) -> None:
    since = len(await home.received())
    await order(home, {"product": "bedrift", "numbers": [number(own, 0) for own in FIVE_NUMBERS]})
    status = await home.sees(
        "the refused number",
        lambda status: status["subscription"]["product"] == "bedrift" and status["subscription"]["refused"],
    )
    (refused,) = status["subscription"]["refused"]
    assert refused["key"] == "excess.too_many_numbers"
    assert refused["values"]["limit"] == "4"
    assert FIVE_NUMBERS[4] not in str(status), "numbers are masked"
    await home.sees("the product's price list", lambda status: (status["price_list"] or {}).get("name") == "bedrift")
    await home.ready()
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    assert (await home.record(since, line=0)).price.product == "bedrift"
    await order(home, PLAIN)
    await home.sees("the private list", lambda status: (status["price_list"] or {}).get("name") == "privat")
    assert not (await home.ready())["subscription"]["refused"]


async def test_a_new_price_list_prices_the_next_call(home, shipped_list: bytes) -> None:
    since = len(await home.received())
    assert shipped_list.count(b"\n46,Sverige (eksempelpris),0,0.29,60,1,,") == 1
    dearer = shipped_list.replace(b"2026-01-01.sample", b"2026-11-22.dear").replace(
        b"\n46,Sverige (eksempelpris),0,0.29,60,1,,", b"\n46,Sverige (eksempelpris),5,0.29,60,1,,"
    )
    await home.call(0, SWEDEN_DIALLED)
    await home.world.order("/lab/files/privat.csv", dearer)
    await home.reload()
    await home.sees("the new list", lambda status: (status["price_list"] or {}).get("version") == "2026-11-22.dear")
    await home.ready()
    live = await home.sees("the call and its price", lambda status: status["calls"] and status["calls"][0]["seconds"])
    assert live["calls"][0]["amount_micro"] < 1_000_000
    await home.still_speaks(0)
    await home.hang_up(0)
    first = await home.record(since, line=0)
    assert first.price.version == "2026-01-01.sample"
    assert first.price.amount_micro < 1_000_000
    await home.call(1, SWEDEN_DIALLED)
    await home.hang_up(1)
    second = await home.record(since, line=1)
    assert second.price.version == "2026-11-22.dear"
    assert second.price.amount_micro >= 5_000_000


async def test_a_broken_price_list_is_refused_and_the_last_one_prices(home, shipped_list: bytes) -> None:
    since = len(await home.received())
    version = (await home.ready())["price_list"]["version"]
    await home.world.order("/lab/files/privat.csv", shipped_list.replace(b"0,0.29,60,1,,", b"0,-0.29,60,1,,"))
    await home.reload()
    status = await home.sees(
        "the refusal",
        lambda status: any(problem["key"] == "problem.price_list_refused" for problem in status["problems"]),
    )
    assert status["price_list"]["version"] == version
    await home.ready()
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    assert (await home.record(since, line=0)).price.version == version
    await home.world.order("/lab/files/privat.csv", shipped_list)
    await home.reload()
    await home.sees("no problem", lambda status: not status["problems"])
