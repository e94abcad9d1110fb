"""What the signals of the agent's process ask for."""

from __future__ import annotations

import asyncio
import enum
import signal


class Order(enum.Enum):
    """What a signal asks for."""

    STOP = enum.auto()
    RELOAD = enum.auto()


class Orders:
    """The signals of the process, none of them lost while one configuration gives way to the next. Stop wins."""

    def __init__(self) -> None:
        self._waiting: set[Order] = set()
        self._news = asyncio.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT (stop) and SIGHUP (reload) from now on."""
        loop = asyncio.get_running_loop()
        for number, order in (
            (signal.SIGTERM, Order.STOP), (signal.SIGINT, Order.STOP), (signal.SIGHUP, Order.RELOAD),
        ):  # fmt: skip
            loop.add_signal_handler(number, self.give, order)

    def give(self, order: Order) -> None:
        """Ask for something."""
        self._waiting.add(order)
        self._news.set()

    async def next(self) -> Order:
        """Wait for what is asked for."""
        await self._news.wait()
        order = Order.STOP if Order.STOP in self._waiting else Order.RELOAD
        self._waiting.discard(order)
        if not self._waiting:
            self._news.clear()
        return order
