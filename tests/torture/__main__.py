"""`make torture`: kill the agent at every named point and at random, harm its files, and count what is left.

python tests/torture [--kills N] [--seconds S] [--seed N] [--lying-card] [--gateway]
Ends after so many kills or seconds, or at Ctrl-C; prints kills, records, missing, extra and the money difference.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from adapter import Adapter, AdapterError
from agent_under_test import TRAPS
from lying_card import lie
from truth import Verdict, compare

from agent.core.terms import CallPhase

ABROAD = "004681234567#"
CALLS_A_LIFE = 6


class Torturer:
    """One adapter, killed again and again."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.chance = random.Random(options.seed)
        self.adapter = Adapter(folder, options.seed)
        self.kills = self.gateway_kills = self.lies = 0
        self.by_point: dict[str, int] = dict.fromkeys([*TRAPS, "random"], 0)
        self._options = options

    def live_and_die(self, point: str) -> None:
        """One life of the agent: it starts, works, is killed at the point or at random, and the telephone goes on."""
        adapter, chance = self.adapter, self.chance
        # A point that was never met is waited for at its first occasion.
        occasion = chance.randrange(1, 4) if self.by_point[point] else 1
        adapter.start_agent(f"{point}:{occasion}" if point != "random" else "")
        if adapter.wait_for_agent():
            patience = CALLS_A_LIFE if point != "random" else chance.randrange(1, CALLS_A_LIFE)
            for _ in range(patience):
                self.play()
                if not adapter.alive:
                    break
        if adapter.alive and point in ("sent", "acknowledged", "purging", "purged"):
            adapter.until(lambda: False, within_s=3)
        self.by_point["random" if adapter.alive else point] += 1
        both = self._options.gateway and chance.random() < 0.25
        adapter.kill_agent()
        self.kills += 1
        if chance.random() < 0.5:
            self.play()
        if both:
            adapter.crash_gateway()
            self.gateway_kills += 1
        if self._options.lying_card and chance.random() < 0.7:
            self.lies += 1
            self._say(f"lie: {lie(chance, adapter.store)}")

    def points(self) -> Iterator[str]:
        """Every named point in turn, in another order each time, chance kills between; then what was missed."""
        while True:
            yield from self.chance.sample([*TRAPS, "random", "random"], len(TRAPS) + 2)
            yield from [point for point in TRAPS if not self.by_point[point]]

    def play(self) -> None:
        """One call, of any kind, carried through whoever dies meanwhile."""
        adapter, gateway, chance = self.adapter, self.adapter.gateway, self.chance
        line = chance.randrange(2)
        kind = chance.choice(["abroad"] * 6 + ["unanswered", "emergency", "incoming"])
        if kind == "incoming":
            number = gateway.kept.routes[line].number if gateway.kept else "+4721000001"
            call_id = gateway.incoming(number)
            gateway.lift(line)
        else:
            try:
                call_id = gateway.call_number("112" if kind == "emergency" else ABROAD, line)
            except KeyError:
                gateway.hang_up(line)
                adapter.advance(1000)
                return
        adapter.until(lambda: self._phase(call_id) is not CallPhase.ASKED, within_s=10)
        if self._phase(call_id) is CallPhase.ASKED:
            adapter.advance(5000)  # nobody answers the question
        with contextlib.suppress(KeyError):
            if kind not in ("unanswered", "incoming") and not gateway.leg(call_id).over:
                gateway.peer_rings(call_id)
                gateway.peer_answers(call_id)
        for _ in range(chance.randrange(1, 4)):
            adapter.advance(chance.randrange(1, 40_000))
            adapter.until(lambda: True)
        with contextlib.suppress(KeyError):
            if chance.random() < 0.3 and not gateway.leg(call_id).over:
                gateway.peer_hangs_up(call_id)
        gateway.hang_up(line)
        adapter.advance(100)
        if adapter.alive:
            adapter.until(lambda: self._phase(call_id) is None, within_s=10)

    def settle(self) -> Verdict:
        """Let the agent work in peace until everything is at the operator, then compare."""
        adapter = self.adapter
        adapter.kill_agent()  # after Ctrl-C there may be one
        adapter.advance(5000)
        adapter.start_agent()
        adapter.wait_for_agent()
        if not adapter.until(adapter.drained, within_s=30):
            raise AdapterError("ended calls were not released")
        verdict = compare(adapter)
        deadline = time.monotonic() + 30
        while not verdict.good and time.monotonic() < deadline:
            adapter.until(lambda: False, within_s=0.5)
            verdict = compare(adapter)
        adapter.kill_agent()
        return verdict

    def _phase(self, call_id: str) -> CallPhase | None:
        return next((call.phase for call in self.adapter.gateway.calls() if call.call_id == call_id), None)

    def _say(self, text: str) -> None:
        if self._options.verbose:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def main() -> int:
    """Exit code 0: nothing missing, nothing extra, no money astray."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--lying-card", action="store_true")
    parser.add_argument("--gateway", action="store_true", help="kill the gateway, too")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    torturer = Torturer(folder, options)
    deadline = time.monotonic() + options.seconds if options.seconds else None
    sys.stdout.write(f"seed {options.seed}\n")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            for count, point in enumerate(torturer.points(), 1):
                torturer.live_and_die(point)
                if (options.kills and count >= options.kills) or (deadline and time.monotonic() > deadline):
                    break
                if not options.kills and not count % 50:
                    sys.stdout.write(f"kills {torturer.kills} so far\n")
                    sys.stdout.flush()
        verdict = torturer.settle()
    finally:
        torturer.adapter.stop()
    met = ", ".join(f"{point} {count}" for point, count in torturer.by_point.items() if count)
    sys.stdout.write(f"met: {met}\ngateway killed {torturer.gateway_kills}, card lied {torturer.lies}\n")
    sys.stdout.write(f"kills {torturer.kills}, {verdict}\n")
    if verdict.good:
        shutil.rmtree(folder)
        return 0
    sys.stdout.write(f"left for you to look at: {folder}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
