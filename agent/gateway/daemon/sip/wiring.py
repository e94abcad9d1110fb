"""Speech between calls and lines, as the patchboard has it: plugged in where there is any, and pulled out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pjsua2 as pj

from agent.gateway.daemon.sip.call import SipCall
from agent.gateway.daemon.sip.patchboard import Cord, Patchboard, Place
from agent.gateway.daemon.sip.port import LinePort
from agent.gateway.daemon.sip.reasons import reason_of


class Wiring:
    """The library's conference bridge. `ports`: of the lines; `calls`: those that there are, by id."""

    def __init__(
        self, ports: Sequence[LinePort], calls: Mapping[str, SipCall], log: Callable[[str, str, str], None]
    ) -> None:
        self._ports = ports
        self._calls = calls
        self._log = log
        self._board = Patchboard()

    def has_line(self, line: int | None) -> bool:
        """Whether there is such a line; no line at all is one that there is."""
        return line is None or 0 <= line < len(self._ports)

    def connect(self, call_ids: tuple[str, ...], line: int | None) -> None:
        """Let these hear each other and nobody else, now or as soon as they have speech; what is impossible is said."""
        if not self.has_line(line) or any(call_id not in self._calls for call_id in call_ids):
            self._log("error", "sip_connection_impossible", f"{len(call_ids)} calls, line {line}")
            return
        try:
            pulled, plugged = self._board.connect(call_ids, line)
        except ValueError as error:
            self._log("error", "sip_connection_impossible", str(error))
            return
        for call_id in call_ids:
            self._calls[call_id].line = line
        self._pull(pulled)
        self._plug(plugged)

    def again(self, call_id: str) -> None:
        """Connect what is to hear the call: its streams are new ones."""
        self._plug(self._board.cords_of(call_id))

    def cut(self, call_id: str) -> None:
        """Let nobody hear the call, nor it anybody."""
        self._pull(self._board.drop(call_id))

    def forget(self, call_id: str) -> None:
        """A call is over, and its streams with it."""
        self._board.drop(call_id)

    def _plug(self, cords: Sequence[Cord]) -> None:
        """Let speech flow where both ends of a cord have any yet; the library mixes what meets in one place."""
        self._both_ways(cords, pj.AudioMedia.startTransmit)

    def _pull(self, cords: Sequence[Cord]) -> None:
        self._both_ways(cords, pj.AudioMedia.stopTransmit)

    def _both_ways(self, cords: Sequence[Cord], do: Callable[[pj.AudioMedia, pj.AudioMedia], None]) -> None:
        for cord in cords:
            try:
                one, other = (self._audio(place) for place in cord)
                if one is not None and other is not None:
                    do(one, other)
                    do(other, one)
            except pj.Error as error:
                self._log("error", "sip_speech_not_connected", reason_of(error))

    def _audio(self, place: Place) -> pj.AudioMedia | None:
        if isinstance(place, int):
            return self._ports[place]
        call = self._calls.get(place)
        return None if call is None else call.audio()
