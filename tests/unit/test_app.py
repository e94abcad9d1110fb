"""Signals to the agent: none is lost, and stop wins."""

from __future__ import annotations

import asyncio

import pytest

from agent.app import Order, Orders


async def test_a_signal_that_came_before_anybody_listened_is_not_lost() -> None:
    orders = Orders()
    orders.give(Order.RELOAD)
    assert await orders.next() is Order.RELOAD
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await orders.next()


async def test_stop_wins_over_reload() -> None:
    orders = Orders()
    orders.give(Order.RELOAD)
    orders.give(Order.STOP)
    assert [await orders.next(), await orders.next()] == [Order.STOP, Order.RELOAD]
