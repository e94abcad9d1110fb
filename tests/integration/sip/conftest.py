"""A registrar with digest on loopback, and real SIP endpoints in processes of their own: an abort is an exit code."""

from __future__ import annotations

import hashlib
import json
import queue
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

REALM = DOMAIN = "lab.example"
PASSWORD = "correct horse"
_NONCE = "b3f1"


class Registrar:
    """Registrar (RFC 3261 §10, digest RFC 2617 without qop) and stateless proxy (§16.11) for the bindings it holds."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.target = f"127.0.0.1:{self.port};transport=udp"
        self.bindings = {}
        self.registers = []
        self.seen = []
        self.retry_after = None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.socket.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()

    def _serve(self):
        while True:
            data, source = self.socket.recvfrom(65535)
            if data == b"stop":
                return
            text = data.decode()
            if not text.strip():
                continue
            if text.startswith("SIP/2.0"):
                self._response(text)
            elif text.startswith("REGISTER"):
                self._register(text, source)
            else:
                self._request(text, source)

    def _register(self, text, source):
        self.registers.append(text)
        if self.retry_after is not None:
            self._answer(text, source, "503 Service Unavailable", f"Retry-After: {self.retry_after}\r\n")
            return
        user = re.search(r"^To:.*?sip:([^@]+)@", text, re.MULTILINE)[1]
        if not self._authorised(text, user):
            self._answer(text, source, "401 Unauthorized",
                         f'WWW-Authenticate: Digest realm="{REALM}", nonce="{_NONCE}", algorithm=MD5\r\n')  # fmt: skip
            return
        contact = re.search(r"^Contact: .*?<([^>]+)>(?:;expires=(\d+))?", text, re.MULTILINE)
        expires = int(contact[2] or re.search(r"^Expires: (\d+)", text, re.MULTILINE)[1]) if contact else 0
        if expires:
            self.bindings[user] = contact[1]
            extra = f"Contact: <{contact[1]}>;expires={expires}\r\n"
        else:
            self.bindings.pop(user, None)
            extra = ""
        self._answer(text, source, "200 OK", extra)

    def _authorised(self, text, user):
        header = re.search(r"^Authorization: Digest (.*)$", text, re.MULTILINE)
        if header is None:
            return False
        field = dict(re.findall(r'(\w+)="?([^",\r]+)"?', header[1]))
        ha1 = hashlib.md5(f"{user}:{REALM}:{PASSWORD}".encode()).hexdigest()
        ha2 = hashlib.md5(f"REGISTER:{field['uri']}".encode()).hexdigest()
        return field["response"] == hashlib.md5(f"{ha1}:{field['nonce']}:{ha2}".encode()).hexdigest()

    def _answer(self, text, source, status, extra=""):
        keep = re.findall(r"^(?:Via|From|Call-ID|CSeq):.*\r\n", text, re.MULTILINE)
        to = re.search(r"^To:.*\r\n", text, re.MULTILINE)[0].replace(
            "\r\n", ";tag=reg\r\n" if status[0] != "1" else "\r\n"
        )
        self.socket.sendto(f"SIP/2.0 {status}\r\n{''.join(keep)}{to}{extra}Content-Length: 0\r\n\r\n".encode(), source)

    def _request(self, text, source):
        method, uri = text.split(" ", 2)[:2]
        self.seen.append(text)
        user = re.search(r"sip:([^@]+)@", uri)[1]
        if user == "slow":
            self._think_about_it(method, text, source)
            return
        contact = self.bindings.get(user)
        if contact is None:
            if method != "ACK":
                self._answer(text, source, "404 Not Found")
            return
        host, port = re.search(r"@([\d.]+):(\d+)", contact).groups()
        branch = hashlib.md5(re.search(r"branch=([^;\s]+)", text)[1].encode()).hexdigest()
        text = re.sub(r"^Route:.*\r\n", "", text, count=1, flags=re.MULTILINE).replace(uri, contact, 1)
        via = f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{branch}\r\n"
        text = text.replace("\r\n", "\r\n" + via, 1)
        self.socket.sendto(text.encode(), (host, int(port)))

    def _think_about_it(self, method, text, source):
        """Somebody who is found, and never rings."""
        if method == "INVITE":
            self.asked = text
            self._answer(text, source, "100 Trying")
        elif method == "CANCEL":
            self._answer(text, source, "200 OK")
            self._answer(self.asked, source, "487 Request Terminated")

    def _response(self, text):
        text = re.sub(r"^Via:.*\r\n", "", text, count=1, flags=re.MULTILINE)
        via = re.search(r"^Via: SIP/2.0/UDP ([\d.]+):(\d+)", text, re.MULTILINE)
        self.socket.sendto(text.encode(), (via[1], int(via[2])))


class Endpoint:
    """A subscriber process: its JSON lines in, commands out."""

    def __init__(self, arguments):
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self.lines = queue.Queue()
        self.past = []
        self.errors = []
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def _read_errors(self):
        self.errors.extend(self.process.stderr)

    def wait(self, event, timeout=10, **fields):
        """The next line of this event with these fields; earlier ones go to `past`."""
        return self.wait_any((event,), timeout, **fields)

    def wait_any(self, wanted, timeout=10, **fields):
        """The same for whichever of several events comes first."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no {wanted} {fields} within {timeout} s; seen {self.past}, {self.errors}"
                ) from None
            if line is None:
                raise AssertionError(f"ended without {wanted} {fields}; seen {self.past}, {self.errors}")
            self.past.append(line)
            if line["event"] in wanted and all(line[name] == value for name, value in fields.items()):
                return line

    def send(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def ask_to_end(self):
        """Tell it to end, which takes the library a second; several can end at once."""
        if self.process.poll() is None and not self.process.stdin.closed:
            self.process.stdin.close()

    def finish(self, timeout=10):
        """End it in order; the exit code."""
        self.ask_to_end()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for reader in self.readers:
            reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr, self.process.stdin):
            if not pipe.closed:
                pipe.close()
        return code


@pytest.fixture
def registrar():
    made = Registrar()
    yield made
    made.close()


@pytest.fixture
def endpoint(tmp_path, registrar):
    """Start a subscriber process: keyword arguments by user, or a whole configuration."""
    made = []
    rtp = iter(range(30_000, 60_000, 200))

    def start(users, **common):
        subscribers = [
            {"user": user, "domain": DOMAIN, "password": PASSWORD, "target": registrar.target, **common, **behaviour}
            for user, behaviour in users.items()
        ]
        path = tmp_path / f"{len(made)}.json"
        path.write_text(json.dumps({"subscribers": subscribers, "rtp_port": next(rtp)}))
        return process(["-m", "agent.lab.subscriber", str(path)])

    def process(arguments):
        made.append(Endpoint(arguments))
        return made[-1]

    start.process, start.made = process, made
    yield start
    for process in made:
        process.ask_to_end()
    codes = [process.finish() for process in made]
    assert codes == [0] * len(made), [process.errors for process in made]


@pytest.fixture
def pair(endpoint):
    """Two registered subscribers in two processes, each with a tone of its own."""
    ola, kari = endpoint({"1001": {"tone_hz": 1004}}), endpoint({"1002": {"tone_hz": 1700}})
    ola.wait("ready")
    kari.wait("ready")
    return ola, kari


HARNESS = """
import gc, itertools, json, os, re, resource, socket, struct, sys
from agent.clock import boot_ms, boot_us
from agent.core import actions, events, terms
from agent.gateway import protocol
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.sip import SipStack

TARGET = sys.argv[1]
# Others run the same tests at the same time.
RTP_PORT = 10_000 + 200 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw9").removeprefix("gw"))
ids = itertools.count(1)

def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)

def account(name="1001", **fields):
    given = dict(id=name, user=name, domain="lab.example", auth_user=name, password="correct horse", targets=[TARGET])
    return protocol.Account(**{**given, **fields})

class Driver:
    def __init__(self, bind="127.0.0.1", audio=None, **fields):
        self.seen, self.logs = [], []
        self.stack = SipStack(
            bind=bind, port=0, rtp_port=RTP_PORT, audio=audio or [LineAudio(boot_us) for _ in range(2)],
            post=self.seen.append, new_call_id=lambda: f"in-{next(ids)}",
            clock=boot_ms, log=lambda *line: self.logs.append(line), **fields,
        )
        self.stack.start()

    def wait(self, kind, timeout_ms=9000):
        deadline = boot_ms() + timeout_ms
        while boot_ms() < deadline:
            for event in self.seen:
                if isinstance(event, kind):
                    self.seen.remove(event)
                    return event
            self.stack.poll(200)
        raise SystemExit(f"no {kind.__name__}; seen {self.seen}, {self.logs}")

    def register(self, name="1001", target=0):
        self.stack.perform(actions.Register(name, target))
        return self.wait(events.Registered)

    def call(self, user="1002"):
        call_id = f"out-{next(ids)}"
        self.stack.perform(actions.Invite(call_id, "1001", user, 0))
        self.wait(events.CallAnswered)
        self.stack.perform(actions.HangUp(call_id))
        return self.wait(events.CallOver)

def usage():
    gc.collect()
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return len(os.listdir("/proc/self/fd")), pages * resource.getpagesize() // 1024

SDP = (
    b"v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\n"
    b"m=audio 40900 RTP/AVP 8\\r\\na=rtpmap:8 PCMA/8000\\r\\n"
)

def head(message, name):
    return re.search(rb"^" + name + rb": *(.*?)\\r$", message, re.MULTILINE | re.IGNORECASE)[1]

class Peer:
    # Whoever talks SIP to the stack, by hand: a target on 127.0.0.1, a stranger on any other address.

    def __init__(self, driver, address="127.0.0.1"):
        self.driver = driver
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.place = "%s:%d" % self.socket.getsockname()
        self.past = []

    def receive(self, begins=b"", timeout_ms=3000):
        # The next message that begins like this, None where none comes in time.
        deadline = boot_ms() + timeout_ms
        while boot_ms() < deadline:
            self.driver.stack.poll(20)
            try:
                message = self.socket.recv(65535)
            except BlockingIOError:
                continue
            if len(message) > 4:
                self.past.append(message)
                if message.startswith(begins):
                    return message
        return None

    def send(self, message):
        port = self.driver.port
        self.socket.sendto(message, ("127.0.0.1", port))

    def answer(self, request, status, sdp=b"", more=b"", tag=b"zz"):
        keep = b"".join(
            name + b": " + head(request, name) + b"\\r\\n" for name in (b"Via", b"From", b"Call-ID", b"CSeq")
        )
        to = head(request, b"To")
        if b"tag=" not in to:
            to += b";tag=" + tag
        self.send(b"SIP/2.0 " + status + b"\\r\\n" + keep + b"To: " + to + b"\\r\\n" + more + self.rest(sdp))

    def inside(self, invite, method, more=b"", sdp=b"", number=1, kind=b"", tag=b"zz"):
        # A request in the dialog of an INVITE that this peer has answered.
        contact = re.search(rb"<([^>]+)>", head(invite, b"Contact"))[1]
        self.request(method + b" " + contact, head(invite, b"To").split(b";tag=")[0] + b";tag=" + tag,
                     head(invite, b"From"), head(invite, b"Call-ID"), more, sdp, number, kind)

    def final(self, timeout_ms=3000):
        # The next response that is not provisional.
        found = self.receive(b"SIP/2.0", timeout_ms)
        while found and found.startswith(b"SIP/2.0 1"):
            found = self.receive(b"SIP/2.0", timeout_ms)
        return found

    def request(self, line, sender, receiver, call_id, more=b"", sdp=b"", number=1, kind=b""):
        method = line.split()[0]
        branch = b"%s%d%s" % (method, number, call_id.replace(b"@", b""))
        self.send(
            line + b" SIP/2.0\\r\\nVia: SIP/2.0/UDP " + self.place.encode() + b";branch=z9hG4bK" + branch
            + b"\\r\\nMax-Forwards: 70\\r\\nFrom: " + sender + b"\\r\\nTo: " + receiver + b"\\r\\nCall-ID: "
            + call_id + b"\\r\\nCSeq: %d " % number + method + b"\\r\\n" + more + self.rest(sdp, kind)
        )

    def rest(self, sdp, kind=b""):
        kind = b"Content-Type: " + (kind or b"application/sdp") + b"\\r\\n" if sdp else b""
        contact = b"Contact: <sip:x@" + self.place.encode() + b">\\r\\n"
        return contact + kind + b"Content-Length: %d\\r\\n\\r\\n" % len(sdp) + sdp

    def invite(self, call_id, sender=b"<sip:+4790000000@lab.example>", more=b"", sdp=SDP):
        self.request(b"INVITE sip:1001@127.0.0.1:%d" % self.driver.port, sender + b";tag=s", b"<sip:1001@lab.example>",
                     call_id, more, sdp)

def way(message):
    # Which way speech may flow, in the words of the SDP (RFC 3264 §5.1).
    words = (b"sendonly", b"recvonly", b"inactive", b"sendrecv")
    return next((word.decode() for word in words if b"a=" + word in message), "sendrecv")

def way_of_sdp(word, address=b"127.0.0.1", version=2):
    return (
        SDP.replace(b"o=- 1 1", b"o=- 1 %d" % version).replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 " + address)
        + (b"a=" + word + b"\\r\\n" if word else b"")
    )

def with_peer(**fields):
    # A started stack whose only account has a peer for its target.
    driver = Driver()
    driver.port = driver.wait(events.SipReady).local_port
    peer = Peer(driver)
    driver.stack.configure([account(targets=[peer.place + ";transport=udp"], **fields)])
    return driver, peer

def talk(driver, peer, call_id="out"):
    # A call that the peer has answered; our INVITE.
    driver.stack.perform(actions.Invite(call_id, "1001", "112", 0, True))
    invite = peer.receive(b"INVITE")
    peer.answer(invite, b"200 OK", SDP)
    driver.wait(events.CallAnswered)
    return invite

class FarEnd:
    # RTP and RTCP on two sockets of their own.

    def __init__(self, driver, codec=b"8 PCMA/8000"):
        self.driver, self.codec = driver, codec
        self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.rtp, self.rtcp):
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        self.sequence, self.heard = 0, []

    def sdp(self, version=1, way=b"sendrecv", more=b""):
        number, name = self.codec.split()
        return (
            b"v=0\\r\\no=- 1 %d IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\n" % version
            + b"m=audio %d RTP/AVP " % self.rtp.getsockname()[1] + number + b"\\r\\na=rtpmap:" + number + b" " + name
            + b"\\r\\na=rtcp:%d\\r\\na=" % self.rtcp.getsockname()[1] + way + b"\\r\\n" + more
        )

    def hear(self, offer):
        # Where the stack wants its media, from its SDP.
        self.port = int(re.search(rb"m=audio (\\d+)", offer)[1])

    def send(self, count, kind=8, skip=0, payload=b"\\xd5" * 160):
        self.sequence += skip
        for _ in range(count):
            head = struct.pack("!BBHI4s", 0x80, kind, self.sequence & 0xffff, self.sequence * 160, b"peer")
            self.rtp.sendto(head + payload, ("127.0.0.1", self.port))
            self.sequence += 1
            self.driver.stack.poll(20)
            self.take()

    def take(self):
        try:
            while True:
                self.heard.append(self.rtp.recv(2000))
        except BlockingIOError:
            pass

    def report(self, lost, jitter=80):
        # A receiver report (RFC 3550 section 6.4.2) about what the stack has sent.
        self.take()
        block = struct.pack("!4sIIIII", self.heard[0][8:12], lost, 0, jitter, 0, 0)
        self.rtcp.sendto(struct.pack("!BBH4s", 0x81, 201, 7, b"peer") + block, ("127.0.0.1", self.port + 1))

    def empty_report(self):
        self.rtcp.sendto(struct.pack("!BBH4s", 0x80, 201, 1, b"peer"), ("127.0.0.1", self.port + 1))

def call_far_end(driver, peer, **codec):
    far = FarEnd(driver, **codec)
    driver.stack.perform(actions.Invite("out", "1001", "112", 0, True))
    far.invite = peer.receive(b"INVITE")
    far.hear(far.invite)
    peer.answer(far.invite, b"200 OK", far.sdp())
    driver.wait(events.CallAnswered)
    return far

def again(peer, far, sdp, number):
    # A request of the far end in the dialog, and its final answer.
    contact = re.search(rb"<([^>]+)>", head(far.invite, b"Contact"))[1]
    ends = head(far.invite, b"To") + b";tag=zz", head(far.invite, b"From"), head(far.invite, b"Call-ID")
    peer.request(b"INVITE " + contact, *ends, sdp=sdp, number=number)
    answer = peer.receive(b"SIP/2.0 ")
    while answer.startswith(b"SIP/2.0 1"):
        answer = peer.receive(b"SIP/2.0 ")
    peer.request(b"ACK " + contact, *ends, number=number)
    return answer

def samples(driver, count):
    return [driver.wait(events.CallSampled).figures for _ in range(count)]

def alarms(driver):
    found = [event for event in driver.seen if isinstance(event, events.OneWayAudio)]
    driver.seen[:] = [event for event in driver.seen if not isinstance(event, events.OneWayAudio)]
    return [event.way for event in found]

def end(driver):
    driver.stack.perform(actions.HangUp("out"))
    over = driver.wait(events.CallOver)
    driver.stack.close()
    return over.stats
"""


@pytest.fixture
def harness():
    """What a script runs on: a `Driver` of the stack, and a `Peer` that talks SIP to it by hand."""
    return HARNESS


@pytest.fixture
def script(registrar, endpoint):
    """Run a script on the harness to its end; its lines by event."""

    def run(code, timeout=60, target=None):
        process = endpoint.process(["-c", HARNESS + code, target or registrar.target])
        result = process.wait("done", timeout)
        exit_code = process.finish(20)
        assert exit_code == 0, process.errors
        return result

    return run
