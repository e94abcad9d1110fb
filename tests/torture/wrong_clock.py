"""The real agent under a system clock that starts in 1970 and is stepped about: each call is where it truly was.

`python tests/torture/wrong_clock.py` needs libfaketime. The gateway and the operator have the true time; the agent's
boot clock is true as well, as it is on a real device.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapter import HERE, MICRO_PER_SECOND, Adapter

from agent.core.cdr import Cdr
from agent.gateway.protocol import CallState

PATIENCE_S = 90.0
NEAR = timedelta(seconds=5)
NUMBER = "004681234567#"


def library() -> Path:
    """The preloaded half of the `faketime` package."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise SystemExit("libfaketime is not installed (make peers)")
    return found[0]


class WrongClock(Adapter):
    """An adapter whose agent believes what a file says about the time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, seed=1)
        self._offset = folder / "offset"
        operator = tomllib.loads((folder / "agent.toml").read_text(encoding="utf-8"))["operator"]
        self._url = operator["url"]
        self._identity = {
            "X-Device-Id": operator["device_id"],
            "Authorization": "Bearer " + Path(operator["credential_file"]).read_text(encoding="ascii").strip(),
        }

    def set_system_clock(self, ahead: timedelta) -> None:
        """So far is the agent's system clock ahead of the truth."""
        temporary = self._offset.with_suffix(".new")
        temporary.write_text(f"{round(ahead.total_seconds()):+d}\n", encoding="ascii")
        temporary.replace(self._offset)

    def start_agent(self, crash_at: str = "") -> None:
        """Start the product itself, its clock faked from outside."""
        assert not crash_at
        self._started_at = self.log.stat().st_size if self.log.exists() else 0
        environment = os.environ | {
            "LD_PRELOAD": str(library()), "FAKETIME_TIMESTAMP_FILE": str(self._offset), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "STATE_DIRECTORY": str(self.folder),
            "PYTHONPATH": str(HERE.parent.parent),
        }  # fmt: skip
        with self.log.open("ab") as log:
            self._agent = subprocess.Popen(
                [sys.executable, "-m", "agent", "agent", "--config", str(self.folder / "agent.toml")],
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """A question or an order to the lab operator."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data=data, headers=self._identity)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def records(self) -> list[Cdr]:
        """What the operator has."""
        return [one.record for one in self.received()]

    def wait(self, what: str, check: Callable[[], bool]) -> None:
        """Let real time pass, for everybody, until `check`. Fails with `what`."""
        deadline = time.monotonic() + PATIENCE_S
        while not check():
            assert time.monotonic() < deadline, f"not seen: {what}\n{self.log.read_text(errors='replace')[-4000:]}"
            self.advance(0)
            self.until(lambda: False, within_s=0.1)

    def wait_until_it_can_call(self) -> None:
        """The agent is there, and has put a price list into force since it started."""
        assert self.wait_for_agent()
        log = self.log.read_bytes
        self.wait("a price list", lambda: b"price_list_installed" in log()[self._started_at :])

    def pass_time(self, seconds: float) -> None:
        """Let real time pass."""
        end = time.monotonic() + seconds
        self.wait("time", lambda: time.monotonic() >= end)

    def begin(self) -> str:
        """An answered call; its id."""
        self.advance(0)
        known = {call.call_id for call in self.gateway.calls()}
        self.gateway.lift()
        self.gateway.dial(NUMBER, gap_ms=1)
        call_id = next(call.call_id for call in self.gateway.calls() if call.call_id not in known)
        self.wait("the call under way", lambda: any(leg.call_id == call_id for leg in self.gateway.legs))
        self.gateway.peer_answers(call_id)
        self.advance(0)
        return call_id

    def end(self, call_id: str) -> Cdr:
        """Hang up; the record as it came to the operator."""
        self.advance(0)
        self.gateway.hang_up(0)
        self.wait("the record at the operator", lambda: any(one.id == call_id for one in self.records()))
        return next(one for one in self.records() if one.id == call_id)


def began(state: CallState) -> datetime:
    """When the call truly began: the gateway's boot clock, by the true clock of now."""
    now_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    return datetime.now(UTC) - timedelta(milliseconds=now_ms - state.asked_ms)


def is_right(adapter: WrongClock, cdr: Cdr, call_id: str) -> None:
    """Beginning, length and price as they were, and somebody vouches for them."""
    state = adapter.ended[call_id]
    assert state.answered_ms is not None
    assert state.ended_ms is not None
    assert (cdr.time_trusted, cdr.time_source) == (True, "operator"), cdr
    assert abs(datetime.fromisoformat(cdr.began_at) - began(state)) < NEAR, (cdr.began_at, began(state))
    assert cdr.duration_ms == state.ended_ms - state.answered_ms
    assert cdr.price is not None, cdr
    assert cdr.price.amount_micro == -(-cdr.duration_ms // 1000) * MICRO_PER_SECOND


def story(adapter: WrongClock) -> None:
    """1970, then the truth, then steps back and forth, then 1970 again."""
    in_1970 = datetime(1970, 1, 2, tzinfo=UTC) - datetime.now(UTC)
    adapter.set_system_clock(in_1970)
    adapter.ask("/lab/faults", {"no_time": 10_000})
    adapter.start_agent()
    adapter.wait_until_it_can_call()

    first = adapter.begin()
    adapter.pass_time(1.2)
    untimed = adapter.end(first)
    assert not untimed.time_trusted
    assert abs(datetime.fromisoformat(untimed.began_at) - began(adapter.ended[first])) > timedelta(days=1)
    waiting = adapter.begin()
    adapter.pass_time(0.5)

    adapter.ask("/lab/faults", {})
    adapter.wait("the correction", lambda: any(one.corrects == first for one in adapter.records()))
    correction = next(one for one in adapter.records() if one.corrects == first)
    is_right(adapter, correction, first)
    assert next(one for one in adapter.records() if one.id == first) == untimed
    is_right(adapter, adapter.end(waiting), waiting)

    for ahead in (timedelta(hours=-1), timedelta(days=2)):
        during = adapter.begin()
        adapter.set_system_clock(ahead)
        adapter.pass_time(1.2)
        is_right(adapter, adapter.end(during), during)
        after = adapter.begin()
        adapter.pass_time(0.2)
        is_right(adapter, adapter.end(after), after)

    adapter.set_system_clock(in_1970)
    adapter.ask("/lab/faults", {"no_time": 10_000})
    adapter.kill_agent()
    adapter.start_agent()
    adapter.wait_until_it_can_call()
    last = adapter.begin()
    adapter.pass_time(0.2)
    is_right(adapter, adapter.end(last), last)

    records = adapter.records()
    assert [one.corrects for one in records if one.corrects] == [first]
    standing = {one.corrects or one.id: one for one in records}
    assert standing.keys() == adapter.ended.keys()
    months: dict[str, list[int]] = {}
    for one in standing.values():
        month = datetime.fromisoformat(one.began_at).astimezone(ZoneInfo("Europe/Oslo")).strftime("%Y-%m")
        sums = months.setdefault(month, [0, 0])
        sums[0] += 1
        sums[1] += one.price.amount_micro if one.price is not None else 0
    for month, (calls, micro) in months.items():
        used = adapter.ask(f"/v1/usage?month={month}")
        assert (used["calls"], used["amount_micro"]) == (calls, micro), (used, calls, micro)
    assert adapter.ask(f"/v1/usage?month={untimed.began_at[:7]}")["calls"] == 0
    assert adapter.ask("/lab/gaps") == {"gaps": []}
    sys.stdout.write(f"calls {len(standing)}, corrections 1, every one where it was\n")


def main() -> int:
    """Exit code 0: every call was where it was."""
    folder = Path(tempfile.mkdtemp(prefix="clock-"))
    adapter = WrongClock(folder)
    try:
        story(adapter)
    finally:
        adapter.stop()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
