"""The real operator process on ephemeral ports, and telephones that are nothing but a UDP socket."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.lab.operator.config import LabConfig, lab_config, save

PATIENCE_S = 10.0

PRICE_LIST = b"# price_list: lab\n# version: 2026-01\nprefix;price\n47;0.10\n"


class OperatorProcess:
    """The process, its events, and its end."""

    def __init__(self, config_file: Path, config: LabConfig) -> None:
        self.config = config
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "agent.lab.operator", "--config", str(config_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.events: list[dict[str, Any]] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ready = self.next_event()
        assert ready is not None, self.process.stderr.read()
        assert ready["ready"] is True
        self.http: str = ready["http"]
        host, port = ready["sip"].split(":")
        self.sip = (host, int(port))

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def next_event(self) -> dict[str, Any] | None:
        line = self._lines.get(timeout=PATIENCE_S)
        if line is None:
            return None
        event = json.loads(line)
        self.events.append(event)
        return event

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of a kind; others are passed over and kept in `events`."""
        while (event := self.next_event()) is not None:
            if event.get("event") == kind:
                return event
        raise AssertionError(f"the operator ended without {kind}; it said {self.events}")

    def stop(self, how: Callable[[OperatorProcess], None] = lambda it: it.process.send_signal(signal.SIGTERM)) -> int:
        if self.process.poll() is None:
            how(self)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, *, identity: bool = True, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One HTTP request; returns status, headers, body. Header names with underscores for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if identity:
            sent.setdefault("Authorization", f"Bearer {self.config.device.secret}")
            sent.setdefault("X-Device-Id", self.config.device.id)
        request = urllib.request.Request(self.http + path, data=body, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()


@dataclass
class Message:
    """A SIP message, taken apart just far enough."""

    start: str
    headers: list[tuple[str, str]]
    body: str

    @classmethod
    def parse(cls, data: bytes) -> Message:
        head, _, body = data.decode().partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        return cls(start, [(n.strip().lower(), v.strip()) for n, v in (line.split(":", 1) for line in lines)], body)

    @property
    def code(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        return "" if self.code else self.start.split()[0]

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]

    def __getitem__(self, name: str) -> str:
        return self.all(name)[0]


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n"


def digest(challenge: str, user: str, password: str, method: str, uri: str) -> str:
    """The Authorization header for a challenge, computed without the product's code."""
    params = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.removeprefix("Digest ")))
    name = params.get("algorithm", "MD5")
    hash_of = hashlib.sha256 if name == "SHA-256" else hashlib.md5

    def hexed(text: str) -> str:
        return hash_of(text.encode()).hexdigest()

    ha1 = hexed(f"{user}:{params['realm']}:{password}")
    ha2 = hexed(f"{method}:{uri}")
    response = hexed(f"{ha1}:{params['nonce']}:00000001:abcd:auth:{ha2}")
    return (
        f'Digest username="{user}", realm="{params["realm"]}", nonce="{params["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={name}, cnonce="abcd", qop=auth, nc=00000001'
    )


@dataclass
class Phone:
    """A SIP user on a UDP socket: says exactly what a test tells it to."""

    operator: OperatorProcess
    user: str
    password: str
    socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    _numbers = itertools.count(1)

    def __post_init__(self) -> None:
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE_S)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.cseq = 0
        self.registration = f"reg-{next(self._numbers)}@test"

    def send(self, text: str) -> None:
        self.socket.sendto(text.encode(), self.operator.sip)

    def receive(self) -> Message:
        return Message.parse(self.socket.recv(65_535))

    def final(self) -> Message:
        """The next final response; provisional ones are passed over."""
        while True:
            message = self.receive()
            if message.code >= 200:
                return message

    def expect(self, what: int | str) -> Message:
        """The next message, which must be this response code or method; 100 and repeats of it are passed over."""
        while True:
            message = self.receive()
            if message.code == 100:
                continue
            assert what in (message.code, message.method), f"{what} expected, got {message.start}"
            return message

    def request(
        self,
        method: str,
        uri: str,
        *headers: str,
        to: str = "",
        call_id: str = "",
        body: str = "",
        branch: str = "",
        cseq: int | None = None,
        tag: str = "t",
    ) -> str:
        """Build a request; returns its text."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or f"z9hG4bK-{next(self._numbers)}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@lab.test>;tag={tag}{self.user}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or f'call-{next(self._numbers)}@test'}",
            f"CSeq: {cseq} {method}",
            *headers,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        return "\r\n".join(lines)

    @property
    def contact(self) -> str:
        return f"Contact: <sip:{self.user}@{self.address}>"

    def credential(self, challenge: str, method: str, uri: str) -> str:
        """The Authorization header for a challenge, with this telephone's password."""
        return "Authorization: " + digest(challenge, self.user, self.password, method, uri)

    def register(self, *, expires: int = 60, contact: str = "", authorization: str = "", password: str = "") -> Message:
        """REGISTER, answer the challenge, return the final response."""
        uri = "sip:lab.test"
        to = f"<sip:{self.user}@lab.test>"
        headers = [contact or self.contact, f"Expires: {expires}"]
        if not authorization:
            self.send(self.request("REGISTER", uri, *headers, to=to, call_id=self.registration))
            challenged = self.expect(401)
            authorization = digest(
                challenged["www-authenticate"], self.user, password or self.password, "REGISTER", uri
            )
        headers.append(f"Authorization: {authorization}")
        self.send(self.request("REGISTER", uri, *headers, to=to, call_id=self.registration))
        return self.final()

    def invite(self, number: str, *headers: str, password: str = "", port: int = 4000) -> Dialog:
        """INVITE a number, answer the challenge; returns the dialog with the second INVITE on its way."""
        uri = f"sip:{number}@lab.test"
        call_id = f"call-{next(self._numbers)}@test"
        body = SDP.format(port=port)
        first = self.request("INVITE", uri, self.contact, *headers, call_id=call_id, body=body)
        self.send(first)
        challenged = self.expect(401)
        self.ack(first, challenged)
        authorization = digest(challenged["www-authenticate"], self.user, password or self.password, "INVITE", uri)
        second = self.request(
            "INVITE", uri, self.contact, f"Authorization: {authorization}", *headers, call_id=call_id, body=body
        )
        self.send(second)
        return Dialog(self, uri, call_id, second)

    def ack(self, invite: str, response: Message) -> None:
        """ACK of a refusal: same branch as the INVITE."""
        sent = Message.parse(invite.encode())
        self.send(
            "\r\n".join(
                [
                    f"ACK {sent.start.split()[1]} SIP/2.0",
                    f"Via: {sent['via']}",
                    "Max-Forwards: 70",
                    f"From: {sent['from']}",
                    f"To: {response['to']}",
                    f"Call-ID: {sent['call-id']}",
                    f"CSeq: {sent['cseq'].split()[0]} ACK",
                    "Content-Length: 0",
                    "",
                    "",
                ]
            )
        )

    def answer(self, request: Message, code: int, reason: str, *headers: str, body: str = "", tag: str = "u") -> str:
        """Send a response to a request; returns its To header."""
        to = request["to"] if "tag=" in request["to"] else f"{request['to']};tag={tag}"
        lines = [f"SIP/2.0 {code} {reason}", *(f"Via: {via}" for via in request.all("via"))]
        lines += [f"From: {request['from']}", f"To: {to}", f"Call-ID: {request['call-id']}", f"CSeq: {request['cseq']}"]
        lines += list(headers)
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        self.send("\r\n".join(lines))
        return to

    def in_dialog(self, invite: Message, method: str, cseq: int, *headers: str, body: str = "") -> str:
        """A request of the called side inside the dialog that `invite` opened."""
        target = re.search(r"<([^>]+)>", invite["contact"])[1]
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};branch=z9hG4bK-{next(self._numbers)};rport",
            "Max-Forwards: 70",
            f"From: {invite['to']};tag=u",
            f"To: {invite['from']}",
            f"Call-ID: {invite['call-id']}",
            f"CSeq: {cseq} {method}",
            *headers,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])


@dataclass
class Dialog:
    """A call as its caller sees it."""

    phone: Phone
    uri: str
    call_id: str
    invite: str
    to: str = ""
    target: str = ""

    def final(self) -> Message:
        return self.phone.final()

    def confirm(self, answer: Message) -> None:
        """ACK of the 200."""
        self.to = answer["to"]
        self.target = re.search(r"<([^>]+)>", answer["contact"])[1]
        cseq = int(Message.parse(self.invite.encode())["cseq"].split()[0])
        self.phone.send(self.phone.request("ACK", self.target, to=self.to, call_id=self.call_id, cseq=cseq))

    def cancel(self) -> None:
        sent = Message.parse(self.invite.encode())
        branch = re.search(r"branch=([^;]+)", sent["via"])[1]
        cseq = int(sent["cseq"].split()[0])
        self.phone.send(self.phone.request("CANCEL", self.uri, call_id=self.call_id, branch=branch, cseq=cseq))

    def send(self, method: str, *headers: str, body: str = "") -> None:
        self.phone.send(self.phone.request(method, self.target, *headers, to=self.to, call_id=self.call_id, body=body))


def _lab(folder: Path) -> LabConfig:
    price_list = folder / "list.csv"
    price_list.write_bytes(PRICE_LIST)
    return lab_config(folder, product="lab", lines=2, price_list=price_list)


@pytest.fixture
def lab(tmp_path: Path) -> LabConfig:
    """A lab with the adapter, two people and an emergency centre."""
    return _lab(tmp_path)


@pytest.fixture
def start(tmp_path: Path, lab: LabConfig) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts operators from the lab configuration, with changes; every one is gone when the test is."""
    running: list[OperatorProcess] = []

    def started(**changes: Any) -> OperatorProcess:
        config = msgspec.structs.replace(lab, **changes)
        path = tmp_path / f"lab-{len(running)}.json"
        save(config, path)
        running.append(OperatorProcess(path, config))
        return running[-1]

    yield started
    for one in running:
        one.kill()


@pytest.fixture
def operator(start: Callable[..., OperatorProcess]) -> OperatorProcess:
    """A running operator."""
    return start()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """A running operator for all tests of a module that change nothing that another one sees."""
    folder = tmp_path_factory.mktemp("standing")
    config = _lab(folder)
    save(config, folder / "lab.json")
    running = OperatorProcess(folder / "lab.json", config)
    yield running
    running.kill()


@pytest.fixture
def phone(operator: OperatorProcess) -> Iterator[Callable[..., Phone]]:
    """Makes telephones of the lab's users; `register=False` for one that has not registered."""
    made: list[Phone] = []

    def make(name: str, *, register: bool = True) -> Phone:
        user = next(user for user in operator.config.users if user.user == name)
        made.append(Phone(operator, user.user, user.password))
        if register:
            assert made[-1].register().code == 200
        return made[-1]

    yield make
    for one in made:
        one.socket.close()
