"""`make soak`: calls in and out on both lines for a while, with faults, and then a count of what is left over.

python tests/soak [--seconds S] [--seed N] [--folder F]
Real gateway and agent with a simulated card, Kamailio and SIPp on loopback. Half of the time the lines take turns, half
of the time they telephone at once. Meanwhile the operator and the agent are killed and started again. Prints progress
every 10 s; in the end calls by cause, what leaked, memory with its slope, and the records beside SIPp's own counts.
Exit code 0: nothing leaked, nothing missing, nothing too much.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from callers import DEAD, DROPPED, FAR_ENDS, Caller
from house import House, free_port, until
from measure import Held, held, slope

from agent.core.cdr import Cdr
from agent.core.terms import Cause, Direction

PROGRESS_S = 10.0
PHASE_S = 15.0
"""So long the lines take turns, then so long they don't."""
FAULTS_S = (8.0, 20.0)
"""Between the end of a fault and the next one."""
WARM_UP = ("answered", "incoming", "busy", "unknown number")
"""What opens or starts whatever stays open: files, threads."""
OPERATOR_AWAY_S = (2.0, 15.0)
AGENT_AWAY_S = (0.5, 6.0)
SETTLE_S = 60.0
"""For the last records to be sent, and the last transactions to die."""
WARM_UP_CALLS, FAIR_CALLS = 100, 200
"""The trace and other bounded memories fill with the first calls; a slope over few more says nothing."""
MAX_SLOPE_KB = 100.0
"""Per 100 calls: what keeps a kilobyte of each call is a leak."""
_NEVER_INVITED = {
    Cause.AGENT_UNAVAILABLE, Cause.NO_CALL_SLOT, Cause.REFUSED, Cause.NETWORK_FAILURE, Cause.SHUTDOWN,
}  # fmt: skip
"""Calls that ended so never left for a number that SIPp has."""


class Soak:
    """One run: callers, faults, measurements, verdict."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._options = options
        self._chance = random.Random(options.seed)
        self._house = House(folder)
        self._begun = time.monotonic()
        self._turns = threading.Lock()
        self._callers = [Caller(self._house, line, options.seed + line, self._turn) for line in range(2)]
        self._ends = threading.Event()
        self._faults: Counter[str] = Counter()
        self._points: list[tuple[float, float]] = []
        """Calls so far and kilobytes of the gateway."""
        self._wrong: list[str] = []
        self._base: Held | None = None

    @contextlib.contextmanager
    def _turn(self, line: int) -> Iterator[None]:
        del line
        if int((time.monotonic() - self._begun) / PHASE_S) % 2:
            yield
        else:
            with self._turns:
                yield

    # --- the run -----------------------------------------------------------------------------------------------------

    def prepare(self) -> bool:
        """Everybody is there, and the first calls have opened what stays open."""
        house = self._house
        for number, scenario in FAR_ENDS.items():
            house.far_end(number, scenario)
        house.route(f"+47{DROPPED}", "drop")
        house.route(f"+47{DEAD}", f"sip:127.0.0.1:{free_port()}")
        if not house.ready():
            self._wrong.append("the lines did not register: " + " ".join(str(one) for one in house.events.seen[-5:]))
            return False
        for caller in self._callers:
            for kind in WARM_UP:
                caller.play(kind)
        self._base = held(house.gateway.pid)
        return True

    def run(self) -> None:
        """Telephone until the time is up, or Ctrl-C."""
        self._begun = time.monotonic()
        faults = threading.Thread(target=self._do_faults, name="faults")
        for thread in (*self._callers, faults):
            thread.start()
        with contextlib.suppress(KeyboardInterrupt):
            while (left := self._options.seconds - self._elapsed()) > 0:
                self._ends.wait(min(PROGRESS_S, left))
                if self._house.gateway.poll() is not None:
                    self._wrong.append(f"the gateway ended with {self._house.gateway.returncode}")
                    break
                self._progress()
        self._ends.set()
        for caller in self._callers:
            caller.stop()
        for caller in self._callers:
            caller.join()
        faults.join()

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _do_faults(self) -> None:
        while not self._ends.wait(self._chance.uniform(*FAULTS_S)):
            if self._chance.random() < 0.5:
                self._operator_dies()
            else:
                self._agent_dies()

    def _operator_dies(self) -> None:
        self._faults["operator killed"] += 1
        self._house.kill_operator()
        self._ends.wait(self._chance.uniform(*OPERATOR_AWAY_S))
        if not self._house.restart_operator():
            self._wrong.append("the lines did not find the operator again")

    def _agent_dies(self) -> None:
        self._faults["agent killed"] += 1
        self._house.kill_agent()
        self._ends.wait(self._chance.uniform(*AGENT_AWAY_S))
        if not self._house.restart_agent():
            self._wrong.append("the agent did not come back")

    def _progress(self) -> None:
        calls = self._house.events.of_calls()
        over = sum(any(one["event"] == "call_ended" for one in events) for events in calls.values())
        now = held(self._house.gateway.pid)
        self._points.append((over, now.memory_kb))
        faults = ", ".join(f"{name} {count}" for name, count in self._faults.items()) or "no fault yet"
        say(f"{self._elapsed():5.0f} s: {over} calls, {len(calls) - over} going on, {now.memory_kb / 1024:.1f} MB, "
            f"{now.files} files, {now.ports} UDP ports, {now.threads} threads; {faults}")  # fmt: skip

    # --- the verdict -------------------------------------------------------------------------------------------------

    def settle(self) -> bool:
        """Wait until all is quiet, and say what is left over; whether nothing is."""
        house = self._house
        for caller in self._callers:
            self._wrong += caller.wrong
        if self._base is None or house.gateway.poll() is not None:
            return self._say_wrong()
        until(lambda: not self._missing(), SETTLE_S)
        until(lambda: self._left_over() == (0, 0, 0), SETTLE_S)
        until(lambda: not self._miscounted(), PROGRESS_S)
        return self._report()

    def _ids(self) -> dict[str, bool]:
        """Every call of the gateway's log, and whether it has ended."""
        calls = self._house.events.of_calls()
        return {name: any(one["event"] == "call_ended" for one in events) for name, events in calls.items()}

    def _missing(self) -> set[str]:
        return self._ids().keys() - {record.id for record in self._house.records()}

    def _left_over(self) -> tuple[int, int, int]:
        """Ports, files and threads that the gateway holds and did not hold after its first calls."""
        assert self._base is not None
        now = held(self._house.gateway.pid)
        # A way that died was left for another port: the first one stays, for the way back.
        spare = int(any(one["event"] == "sip_port_changed" for one in self._house.events.seen))
        return (
            max(0, now.ports - self._base.ports - spare),
            max(0, now.files - self._base.files - spare),
            max(0, now.threads - self._base.threads),
        )

    def _counts(self) -> list[tuple[str, int, int]]:
        """What, in our records, and by SIPp's own count."""
        records = self._house.records()
        rows = []
        for number, far_end in self._house.far_ends().items():
            ours = sum(left_for(record, number) for record in records)
            rows.append((f"out to {number} ({far_end.scenario})", ours, far_end.calls()))
        came = sum(record.direction is Direction.INCOMING for record in records)
        rows.append(("in", came, sum(len(caller.calls_in) for caller in self._callers)))
        return rows

    def _miscounted(self) -> list[tuple[str, int, int]]:
        return [row for row in self._counts() if row[1] != row[2]]

    def _report(self) -> bool:
        house, wrong = self._house, self._wrong
        records = house.records()
        ids = self._ids()
        made = sum((caller.made for caller in self._callers), Counter())
        say("\ncalls made: " + ", ".join(f"{kind} {count}" for kind, count in sorted(made.items())))
        causes = Counter(f"{record.direction.value} {record.cause.value}" for record in records)
        say("ended by cause: " + ", ".join(f"{cause} {count}" for cause, count in causes.most_common()))
        gave_way = sum((caller.gave_way for caller in self._callers), Counter())
        say("gave way, as they should: " + (", ".join(f"{name} {count}" for name, count in gave_way.items()) or "none"))
        say("faults: " + (", ".join(f"{name} {count}" for name, count in self._faults.items()) or "none"))
        calls = sum(not ended for ended in ids.values())
        ports, files, threads = self._left_over()
        say(f"leaked: {calls} calls, {ports} ports, {files} file descriptors, {threads} threads")
        if calls or ports or files or threads:
            wrong.append("something leaked")
        wrong += self._judge_memory()
        missing, extra = self._missing(), {record.id for record in records} - ids.keys()
        double = len(records) - len({record.id for record in records})
        say(f"records: {len(records)}, missing {len(missing)}, extra {len(extra)}, double {double}")
        if missing or extra or double:
            wrong.append(f"records: missing {sorted(missing)[:5]}, extra {sorted(extra)[:5]}")
        say("calls by number, in our records and by SIPp's count:")
        for what, ours, theirs in self._counts():
            say(f"  {what}: {ours}, {theirs}{'' if ours == theirs else '   <-- differs'}")
            if ours != theirs:
                wrong.append(f"{what}: {ours} records, SIPp counts {theirs}")
        wrong += [f"{one.scenario} of SIPp has ended" for one in house.far_ends().values() if not one.alive]
        wrong += [f"the gateway said: {line}" for line in house.events.odd[:5]]
        return self._say_wrong()

    def _judge_memory(self) -> list[str]:
        points = [point for point in self._points if point[0] >= WARM_UP_CALLS] or self._points
        grows = slope(points) * 100
        first, last = self._points[0], self._points[-1]
        say(
            f"memory of the gateway: {first[1] / 1024:.1f} MB after {first[0]:.0f} calls, "
            f"{last[1] / 1024:.1f} MB after {last[0]:.0f}, slope {grows:+.0f} kB per 100 calls"
        )
        if last[0] < FAIR_CALLS:
            say(f"  (not judged: a slope over fewer than {FAIR_CALLS} calls says nothing)")
            return []
        return [f"memory grows by {grows:.0f} kB per 100 calls"] if grows > MAX_SLOPE_KB else []

    def _say_wrong(self) -> bool:
        for one in self._wrong:
            say(f"WRONG: {one}")
        return not self._wrong

    def close(self) -> None:
        """End everything; an end that is not in order counts."""
        self._wrong += self._house.close()


def left_for(record: Cdr, number: str) -> bool:
    """Whether this record is of a call whose INVITE left for the number."""
    out = record.direction is Direction.OUTGOING and record.number == number
    return out and record.cause not in _NEVER_INVITED


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Exit code 1 on any leak or difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where the logs go; kept")
    options = parser.parse_args()
    missing = [name for name in ("kamailio", "sipp") if shutil.which(name) is None]
    if missing:
        say(f"{' and '.join(missing)} not installed (make peers)")
        return 1
    folder = options.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(exist_ok=True)
    say(f"seed {options.seed}, {options.seconds:.0f} s")
    soak = Soak(folder, options)
    good = False
    try:
        if soak.prepare():
            soak.run()
        good = soak.settle()
    finally:
        soak.close()
    good = good and soak._say_wrong()
    if not good:
        say(f"left for you to look at: {folder}")
        return 1
    if options.folder is None:
        shutil.rmtree(folder)
    say("nothing leaked, nothing missing, nothing too much")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
