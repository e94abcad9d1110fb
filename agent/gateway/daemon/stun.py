"""The STUN server of the configuration: watched, and told of to the agent and the log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from agent.core.place import Place
from agent.core.stun import parse_server
from agent.gateway.daemon.stun_question import PATIENCE_MS
from agent.gateway.daemon.stun_watch import Seen, StunWatch
from agent.gateway.protocol import StunState

_HEARD: Final = ("info", "stun_server_answers")
_SILENT: Final = ("warning", "stun_server_silent")


class Stun:
    """`publish` and `log` are for any thread: what the watch learns is told on its own."""

    def __init__(
        self, bind: str, publish: Callable[[StunState], None], log: Callable[[str, str, str], None],
        patience_ms: int = PATIENCE_MS,
    ) -> None:  # fmt: skip
        self.watch = StunWatch(bind, self._learnt, patience_ms)
        self._publish = publish
        self._log = log
        self._state: StunState | None = None
        self._telling = threading.Lock()

    @property
    def records(self) -> Sequence[StunState]:
        """What an agent that connects is told; nothing where no server was ever named."""
        return () if self._state is None else (self._state,)

    def use(self, text: str, out_of_reach: Callable[[str], str]) -> None:
        """Ask the server that is written as `Configure.stun_server`, or nobody.

        `out_of_reach` says why an address can't be spoken to from here: such a server is refused by name, and calls go
        on without one. Raises StunError.
        """
        server = parse_server(text) if text else None
        refusal = out_of_reach(server.address) if server is not None else ""
        refusal = refusal and f"stun_server {text!r} is not asked: {refusal}"
        if refusal and (self._state is None or self._state.refusal != refusal):
            self._log("error", "stun_server_refused", refusal)
        with self._telling:
            self.watch.use(None if refusal else server)
            if server is not None or self._state is not None:
                self._tell(server, refusal)

    def _learnt(self, seen: Seen) -> None:
        self._log(*(_HEARD if seen.answers else _SILENT), str(seen.server))
        with self._telling:
            self._tell(self.watch.seen.server)

    def _tell(self, server: Place | None, refusal: str = "") -> None:
        """With what is known at this moment: an older word must not come after a newer one."""
        seen = self.watch.seen
        self._state = StunState(server=str(server or ""), answers=seen.answers, outside=seen.outside, refusal=refusal)
        self._publish(self._state)
