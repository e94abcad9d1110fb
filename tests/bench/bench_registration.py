"""A thousand adapters at one server: what comes to it after an outage, a power cut, a refusal, and how soon.

Run as a program: `python tests/bench/bench_registration.py [ADAPTERS]`. Beside the product's policy stand the fixed
pauses of common adapters and the curve of RFC 5626 §4.5, all with the same grant of 300 s. Time is virtual; every
number follows from the seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from street import (
    BACK_MS,
    OURS,
    PEERS,
    REFUSED_FOR_MS,
    Kind,
    Street,
    back,
    outage,
    peak,
    power_cut,
    refusal,
)

WEAK = 100
"""REGISTERs a second that a weak server answers; it drops the rest."""
_HEAD = f"{'':26}{'policy':12}{'peak/s':>8}{'50 %':>9}{'90 %':>9}{'all':>9}{'in the outage':>15}{'dropped':>9}"


def row(name: str, street: Street, kind: Kind, since_ms: int) -> None:
    """One line of the table: REGISTERs in the worst second, seconds until they were back, messages in vain."""
    shares = "".join(_seconds(back(street, since_ms, share)) for share in (0.5, 0.9, 1.0))
    server = street.server
    dropped = len(server.arrived) - len(server.served)
    print(f"{name:26}{kind.name:12}{peak(server.arrived, since_ms):8}{shares}{len(server.in_vain):15}{dropped:9}",
          flush=True)  # fmt: skip


def _seconds(value: float | None) -> str:
    return f"{'never' if value is None else f'{value:.1f} s':>9}"


def compare(name: str, run: Callable[[Kind], Street], since_ms: int) -> None:
    """The same fate for every policy."""
    for kind in (OURS, *PEERS):
        row(name, run(kind), kind, since_ms)


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{count} adapters, 300 s granted; messages with retransmissions and digest challenges")
    print(_HEAD)
    compare("server away 10 min", lambda kind: outage(kind, count), BACK_MS)
    compare("and all links return", lambda kind: outage(kind, count, links=True), BACK_MS)
    compare(f"and it takes {WEAK}/s", lambda kind: outage(kind, count, links=True, capacity=WEAK), BACK_MS)
    compare("power cut, spread 0", lambda kind: power_cut(kind, 0, count), 0)
    row("power cut, spread 60 s", power_cut(OURS, 60, count), OURS, 0)
    compare(f"spread 0, it takes {WEAK}/s", lambda kind: power_cut(kind, 0, count, capacity=WEAK), 0)
    print("all are refused (403) for the hour after the outage:")
    for kind in (OURS, *PEERS):
        street = refusal(kind, count)
        end_ms = BACK_MS + REFUSED_FOR_MS
        hour = [at for at in street.server.arrived if BACK_MS <= at < end_ms]
        print(f"{'':26}{kind.name:12}{peak(hour):8}{len(hour):9} in that hour, the last is back "
              f"{_seconds(back(street, end_ms, 1.0)).strip()} after it", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
