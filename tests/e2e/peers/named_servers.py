"""An operator known by its name: two servers behind SRV records of a real dnsmasq, and a whole adapter.

The real agent asks the DNS and gives the real gateway the servers in their order. It has no operator of ours, so that
one file holds all that it knows: a domain, a user, a password.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.core.cdr import Cdr
from agent.store.errors import StoreMissing
from agent.store.store import Store
from firmware_bridge.simulator import PtyCard, SimulatedPhone
from tests.e2e.peers.conftest import (
    DOMAIN,
    HERE,
    PATIENCE_S,
    TONE_HZ,
    Kamailio,
    Lines,
    Subscriber,
    end,
    eventually,
    free_port,
)

EXPIRES_S = 120
"""Longer than any test here: nothing is noticed by a refresh alone."""
_TRIES = 5


class Dnsmasq:
    """The DNS of the operator's domain: SRV records of the servers, the first preferred. Everything else it refuses."""

    def __init__(self, servers: Sequence[Kamailio]) -> None:
        self._servers = servers
        for _ in range(_TRIES):
            self.port = free_port()
            if self._start():
                return
        raise AssertionError("\n".join(self.log.lines))

    def _start(self) -> bool:
        """Whether it listens: a port that is free for datagrams may be another's for connections."""
        names = [
            word
            for at, server in enumerate(self._servers, 1)
            for word in (
                f"--srv-host=_sip._udp.{DOMAIN},server{at}.{DOMAIN},{server.port},{10 * at},0",
                f"--host-record=server{at}.{DOMAIN},{server.address}",
            )
        ]
        self._process = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=", "--no-hosts",
             "--no-resolv", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}",
             f"--local=/{DOMAIN}/", "--log-queries", "--log-facility=-", *names],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.log = Lines(self._process.stderr)
        if self.log.wait("started, version") and self._process.poll() is None:
            return True
        end(self._process)
        self.log.close()
        return False

    def close(self) -> None:
        end(self._process)
        self.log.close()


class NamedOperator:
    """Two servers that share no bindings, as those of an operator who has bought two: who is to be called through one

    must be registered there. Both know the subscribers, and where numbers are.
    """

    def __init__(self, folder: Path) -> None:
        for name in ("first", "second"):
            (folder / name).mkdir()
        self.first, self.second = Kamailio(folder / "first"), Kamailio(folder / "second")
        self._routes: dict[str, str] = {}
        self._subscribers: list[Subscriber] = []

    @property
    def servers(self) -> tuple[Kamailio, Kamailio]:
        return self.first, self.second

    def know(self, subscriber: Subscriber) -> None:
        """Let a subscriber register, call and be called."""
        self._subscribers.append(subscriber)
        self.route(subscriber.number, f"aor:{subscriber.user}")
        for server in self.servers:
            server.know(subscriber.user, subscriber.password)

    def route(self, number: str, hop: str) -> None:
        self._routes[number] = hop
        for server in self.servers:
            if server.lives:
                server.route(number, hop)

    def revive(self) -> None:
        """Start the first server again where it has been killed: it knows everything but the bindings."""
        if self.first.lives:
            return
        self.first.start()
        for one in self._subscribers:
            self.first.know(one.user, one.password)
        for number, hop in self._routes.items():
            self.first.route(number, hop)

    def close(self) -> None:
        for server in self.servers:
            if server.lives:
                server.close()


class NamedAdapter:
    """Gateway and agent as processes, the card with two telephones; told of the operator its domain alone."""

    def __init__(self, folder: Path, subscriber: Subscriber, dns: Dnsmasq) -> None:
        self._folder = folder
        self.card = PtyCard(lines=2, link_path=folder / "card").start()
        password = folder / "password"
        password.write_text(f"{subscriber.password}\n")
        password.chmod(0o600)
        (folder / "resolv.conf").write_text("# A network that names no DNS server.\n")
        configuration = folder / "agent.toml"
        configuration.write_text(f"""
            [gateway]
            socket = "{folder / "agent.sock"}"
            [store]
            folder = "{folder / "store"}"
            [page]
            bind = "127.0.0.1"
            port = 0
            [dns]
            resolv_conf = "{folder / "resolv.conf"}"
            fallback = ["127.0.0.1:{dns.port}"]
            [plain]
            user = "{subscriber.user}"
            domain = "{DOMAIN}"
            number = "{subscriber.number}"
            password_file = "{password}"
            expires_s = {EXPIRES_S}
        """)
        self._gateway, self.gateway_log = self._run(
            str(HERE / "hurried_gateway.py"), "gateway", "--socket", str(folder / "agent.sock"),
            "--card", self.card.path, "--bind", "127.0.0.1", "--state", str(folder / "state"),
            "--rtp-port", str(free_port(64)),
        )  # fmt: skip
        self._agent, self.agent_log = self._run("-m", "agent", "agent", "--config", str(configuration))

    def _run(self, *words: str) -> tuple[subprocess.Popen[str], Lines]:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "STATE_DIRECTORY": str(self._folder / "store")},
        )  # fmt: skip
        return process, Lines(process.stderr)

    @property
    def phone(self) -> SimulatedPhone:
        """The telephone of the first line."""
        return self.card.phones[0]

    def story(self) -> str:
        return "\n".join([*self.agent_log.lines, *self.gateway_log.lines])

    def dial(self, number: str) -> None:
        """Lift the handset, wait for the dial tone, press the keys."""
        self.phone.off_hook()
        assert self.hears(TONE_HZ, 100), f"no dial tone: {self.story()}"
        self.phone.dial(number, 50, 50)

    def hears(self, hz: int, ms: int = 300, timeout: float = PATIENCE_S) -> bool:
        """Wait until the telephone hears a frequency well over the last `ms`."""
        return self.phone.wait_for(lambda: self.phone.hears(hz, ms) > -20, timeout)

    def hangs_up(self) -> Cdr:
        """Replace the handset; the record of the call."""
        before = len(self.records())
        self.phone.speak(None)
        self.phone.on_hook()
        assert eventually(lambda: len(self.records()) > before), self.story()
        return self.records()[0]

    def records(self) -> list[Cdr]:
        """What the call log holds, newest first."""
        return asyncio.run(self._read())

    async def _read(self) -> list[Cdr]:
        try:
            reader = await Store.open_reader(self._folder / "store")
        except StoreMissing:
            return []
        async with reader:
            return [one.cdr for one in await reader.recent(100)]

    def close(self) -> None:
        codes = [end(process) for process in (self._agent, self._gateway)]
        for log in (self.agent_log, self.gateway_log):
            log.close()
        self.card.stop()
        assert codes == [0, 0], self.story()
