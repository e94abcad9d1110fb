"""`python -m agent.lab.operator --config FILE`: the lab operator as a process of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from agent import clock
from agent.lab.operator.config import LabConfig, LabConfigError, check, load
from agent.lab.operator.events import EventStream, LibraryOutput, Ready, Stopped
from agent.lab.operator.ledger import LedgerError
from agent.lab.operator.published import PublishError
from agent.lab.operator.server import HttpError, HttpServer
from agent.lab.operator.sip_faults import SipFaults

USAGE_ERROR = 2


def main() -> int:
    """Run until SIGTERM, SIGINT, or until standard input closes. Exit status 2: the configuration cannot be used."""
    try:
        config = _arguments()
    except LabConfigError as error:
        sys.stderr.write(f"lab operator: {error}\n")
        return USAGE_ERROR
    events = EventStream(sys.stdout)
    # The SIP library prints what it stumbles over; standard output belongs to our lines.
    sys.stdout = LibraryOutput(events)
    # Imported late: its event loop binds itself to the importing thread, its messages to the standard output it finds.
    from agent.lab.operator.platform import Platform, PlatformError

    sip_faults = SipFaults()
    platform = Platform(config, events, clock.boot_ms, sip_faults)
    try:
        platform.start()
        sip = f"{config.host}:{platform.port}"
        http = HttpServer(config, sip_target=sip, sip_faults=sip_faults, sink=events, now=clock.wall)
        http_port = http.start()
    except (PlatformError, HttpError, LedgerError, PublishError) as error:
        sys.stderr.write(f"lab operator: {error}\n")
        return 1
    _stop_with(platform.stop)
    events.emit(Ready(http=f"http://{config.host}:{http_port}", sip=sip))
    platform.run()
    http.stop()
    events.emit(Stopped())
    return 0


def _arguments() -> LabConfig:
    parser = argparse.ArgumentParser(prog="python -m agent.lab.operator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration, TOML or JSON")
    parser.add_argument("--http-port", type=int, help="TCP port of the HTTP API (0: any free one)")
    parser.add_argument("--sip-port", type=int, help="UDP port of SIP (0: any free one)")
    given = parser.parse_args()
    config = load(given.config)
    ports = {"http_port": given.http_port, "sip_port": given.sip_port}
    chosen = {name: port for name, port in ports.items() if port is not None}
    for name, port in chosen.items():
        if not 0 <= port <= 65_535:
            raise LabConfigError(f"{name}: {port} is no port")
    return check(msgspec.structs.replace(config, **chosen))


def _stop_with(stop: Callable[[], None]) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    def wait_for_end() -> None:
        # The descriptor, not sys.stdin: a thread inside its buffer would block the interpreter's own end.
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=wait_for_end, name="stdin", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
