"""A call goes on while strangers scan, torture and flood the telephone, and so does what comes after it."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

MESSAGES = sorted((Path(__file__).resolve().parents[2] / "data/sip").glob("*.sip"))
STRANGER, OPERATOR = "127.0.0.2", "127.0.0.1"
"""The registrar's address is the operator's; it has every port."""


class Call:
    """Ola has called Kari; each hears the other's tone until the end."""

    def __init__(self, ola, kari) -> None:
        self.ola, self.kari = ola, kari
        self.port = ola.wait("listening")["port"]
        ola.wait("ready"), kari.wait("ready")
        ola.send(call={"from": "1001", "to": "1002"})
        self.ours, self.theirs = ola.wait("calling")["call"], kari.wait("invite")["call"]
        ola.wait("heard", hz=1700), kari.wait("heard", hz=1004)

    def is_undisturbed(self, *, clicks: bool = False) -> None:
        """Nothing was heard but the other's tone, a key still gets through each way, and the call ends by our hand.

        `clicks`: for moments there may have been no tone, but each time it came back.
        """
        for end, hz in ((self.ola, 1700), (self.kari, 1004)):
            # Before a key takes the tone's place.
            lines = (*end.past, *tuple(end.lines.queue))
            heard = [line["hz"] for line in lines if line is not None and line["event"] == "heard"]
            assert set(heard) <= ({hz, 0} if clicks else {hz})
            if heard[-1] != hz:
                end.wait("heard", hz=hz)
        self.ola.send(press={"call": self.ours, "digit": "5"})
        assert self.kari.wait("digit")["digit"] == "5"
        self.kari.send(press={"call": self.theirs, "digit": "8"})
        assert self.ola.wait("digit")["digit"] == "8"
        self.ola.send(hangup=self.ours)
        gone, theirs = self.ola.wait("bye", call=self.ours), self.kari.wait("bye", call=self.theirs)
        assert (gone["remote"], theirs["remote"]) == (False, True)
        assert gone["stats"]["codec"] == theirs["stats"]["codec"] == "PCMA/8000"

    @property
    def invites(self) -> list[str]:
        """Who else has rung."""
        return [line["call"] for line in self.ola.past if line["event"] == "invite"]

    @property
    def said(self) -> list[str]:
        """What the telephone's own log tells."""
        return [line for line in self.ola.errors if "sip_callback_failed" in line]


@pytest.fixture
def call(endpoint):
    """A call of somebody who takes no second one."""
    ola = endpoint({"1001": {"tone_hz": 1004, "tone_ms": 0, "behaviour": "busy"}})
    kari = endpoint({"1002": {"tone_hz": 1700, "tone_ms": 0}})
    made = Call(ola, kari)
    yield made
    assert made.said == []


@pytest.fixture
def answering_call(endpoint):
    """A call of somebody who answers whoever else calls, too."""
    made = Call(endpoint({"1001": {"tone_hz": 1004, "tone_ms": 0, "answer_ms": 0}}),
                endpoint({"1002": {"tone_hz": 1700, "tone_ms": 0}}))  # fmt: skip
    yield made
    assert made.said == []


@pytest.fixture
def sender() -> Iterator:
    """Sockets of somebody at an address."""
    made = []

    def at(address: str) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((address, 0))
        one.settimeout(5)
        made.append(one)
        return one

    yield at
    for one in made:
        one.close()


OPTIONS = (
    "OPTIONS sip:1001@lab.example SIP/2.0\r\nVia: SIP/2.0/UDP {0}:{1};branch=z9hG4bKend{2};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:end@peer.example>;tag=e\r\nTo: <sip:1001@lab.example>\r\nCall-ID: end{2}\r\n"
    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def settle(one: socket.socket, port: int, number: int = 0) -> None:
    """Wait until all that was sent before has been read: an OPTIONS after it is answered."""
    own = one.getsockname()
    one.sendto(OPTIONS.format(*own, number).encode(), (OPERATOR, port))
    while f"Call-ID: end{number}\r\n".encode() not in one.recv(65_535):
        pass


@pytest.mark.parametrize("address", [STRANGER, OPERATOR])
def test_the_torture_messages_disturb_no_call(call, sender, address):
    assert len(MESSAGES) == 49
    one = sender(address)
    for number, path in enumerate(MESSAGES):
        one.sendto(path.read_bytes(), (OPERATOR, call.port))
        settle(one, call.port, number)
    call.is_undisturbed()
    assert bool(call.invites) is (address == OPERATOR), (
        "an INVITE of the operator's address rings, a stranger's does not"
    )


SCAN = (
    "{method} sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own[0]}:{own[1]};branch=z9hG4bK-{n};rport\r\n"
    'From: "sipvicious"<sip:{user}@1.1.1.1>;tag={n:032x}\r\nTo: "sipvicious"<sip:{user}@1.1.1.1>\r\n'
    "Call-ID: {n}\r\nCSeq: 1 {method}\r\nContact: sip:{user}@{own[0]}:{own[1]}\r\nMax-Forwards: 70\r\n"
    "User-agent: friendly-scanner\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE"])
def test_a_scan_of_numbers_rings_no_telephone_and_disturbs_no_call(call, sender, method):
    one = sender(STRANGER)
    for number in range(200):
        text = SCAN.format(method=method, user=100 + number, own=one.getsockname(), n=number)
        one.sendto(text.encode(), (OPERATOR, call.port))
        settle(one, call.port, number)
    call.is_undisturbed()
    assert call.invites == []
    refused = [line for line in call.ola.errors if "sip_stranger_refused" in line]
    assert bool(refused) is (method == "INVITE")


HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
AUDIO = "m=audio 40900 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
SDP = {
    "none": "",
    "no rtpmap": HEAD + "m=audio 40900 RTP/AVP 96\r\n",
    "telephone-event alone": HEAD + "m=audio 40900 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    "events without rtpmap": HEAD + "m=audio 40900 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=fmtp:101 0-15\r\n",
    "ptime 0": HEAD + AUDIO + "a=ptime:0\r\n",
    "ptime -1": HEAD + AUDIO + "a=ptime:-1\r\n",
    "ptime 10000": HEAD + AUDIO + "a=ptime:10000\r\n",
    "ptime 65535": HEAD + AUDIO + "a=ptime:65535\r\na=maxptime:65535\r\n",
    "ptime words": HEAD + AUDIO + "a=ptime:twenty\r\n",
    "67 keys": HEAD + AUDIO + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD\r\n" * 67,
    "4 media": HEAD + AUDIO * 4,
    "60 formats": HEAD + "m=audio 40900 RTP/AVP " + " ".join(map(str, range(60))) + "\r\n",
    "port 0": HEAD + "m=audio 0 RTP/AVP 8\r\n",
    "port 99999": HEAD + "m=audio 99999 RTP/AVP 8\r\n",
    "port -1": HEAD + "m=audio -1 RTP/AVP 8\r\n",
    "format 300": HEAD + "m=audio 40900 RTP/AVP 300\r\n",
    "format word": HEAD + "m=audio 40900 RTP/AVP t38\r\n",
    "no format": HEAD + "m=audio 40900 RTP/AVP\r\n",
    "clock 0": HEAD + "m=audio 40900 RTP/AVP 8\r\na=rtpmap:8 PCMA/0\r\n",
    "clock 4294967296": HEAD + "m=audio 40900 RTP/AVP 96\r\na=rtpmap:96 PCMA/4294967296\r\n",
    "channels 9999": HEAD + "m=audio 40900 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000/9999\r\n",
    "rtpmap of nothing": HEAD + "m=audio 40900 RTP/AVP 8\r\na=rtpmap:\r\na=rtpmap:8\r\na=rtpmap:8 /\r\n",
    "no connection": HEAD.replace("c=IN IP4 127.0.0.1\r\n", "") + AUDIO,
    "no address": HEAD.replace("c=IN IP4 127.0.0.1", "c=IN IP4") + AUDIO,
    "another family": HEAD.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1") + AUDIO,
    "broadcast": HEAD.replace("c=IN IP4 127.0.0.1", "c=IN IP4 255.255.255.255") + AUDIO,
    "no origin": HEAD.replace("o=- 1 1 IN IP4 127.0.0.1\r\n", "") + AUDIO,
    "great numbers": HEAD.replace("o=- 1 1", "o=- 99999999999999999999 99999999999999999999") + AUDIO,
    "time": HEAD.replace("t=0 0", "t=99999999999999999999 -1") + AUDIO,
    "a long line": HEAD + AUDIO + "a=" + "x" * 2000 + "\r\n",
    "a long format": HEAD + AUDIO + "a=fmtp:8 " + ";".join(f"p{n}={n}" for n in range(200)) + "\r\n",
    "bare ends": (HEAD + AUDIO).replace("\r\n", "\n"),
    "no ends": (HEAD + AUDIO).replace("\r\n", " "),
    "cut": (HEAD + AUDIO)[:-9],
    "a zero": HEAD + "m=audio\x00 40900 RTP/AVP 8\r\n" + AUDIO,
    "another protocol": HEAD + "m=audio 40900 RTP/SAVPF 8\r\na=rtpmap:8 PCMA/8000\r\na=fingerprint:sha-256 00\r\n",
    "candidates": HEAD + AUDIO + "a=ice-ufrag:a\r\na=ice-pwd:b\r\n" + "a=candidate:1 1 UDP 1 127.0.0.1 9\r\n" * 40,
    "rtcp elsewhere": HEAD + AUDIO + "a=rtcp:99999 IN IP4 nowhere.invalid\r\na=rtcp-mux\r\n",
    "bandwidth": HEAD + "b=AS:99999999999999\r\n" + AUDIO + "b=:\r\n",
    "directions": HEAD + AUDIO + "a=sendonly\r\na=recvonly\r\na=inactive\r\na=sendrecv\r\n",
    "noise": "".join(chr(random.Random(7).randrange(1, 255)) for _ in range(600)),
}  # fmt: skip
INVITE = (
    "INVITE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own[0]}:{own[1]};branch=z9hG4bKi{n};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:+4790000000@lab.example>;tag=i{n}\r\nTo: <sip:1001@lab.example>\r\n"
    "Call-ID: i{n}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:x@{own[0]}:{own[1]}>\r\n"
)


def with_body(head: str, body: str) -> bytes:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    raw = body.encode("latin-1")
    return f"{head}{kind}Content-Length: {len(raw)}\r\n\r\n".encode() + raw


def header(message: bytes, name: str) -> str:
    return re.search(rf"^{name}: *(.*?)\r$", message.decode("latin-1"), re.MULTILINE | re.IGNORECASE)[1]


def test_no_offer_of_the_operator_disturbs_a_call(answering_call, sender):
    """Each is answered where the library can; what it made of it ends, and the next one comes."""
    call, one = answering_call, sender(OPERATOR)
    outcomes = {}
    for n, (name, body) in enumerate(SDP.items()):
        head = INVITE.format(own=one.getsockname(), n=n)
        one.sendto(with_body(head, body), (OPERATOR, call.port))
        answer = b"SIP/2.0 100"
        while not (answer.startswith(b"SIP/2.0") and b" INVITE" in answer and int(answer.split()[1]) >= 200):
            answer = one.recv(65_535)
        outcomes[name] = code = int(answer.split()[1])
        to = header(answer, "To")
        one.sendto(with_body(head.replace("INVITE", "ACK").replace("To: <sip:1001@lab.example>", f"To: {to}"), ""),
                   (OPERATOR, call.port))  # fmt: skip
        if code == 200:
            bye = head.replace("INVITE", "BYE").replace("CSeq: 1", "CSeq: 2").replace("bKi", "bKb")
            settle(one, call.port, 2 * n)
            one.sendto(with_body(bye.replace("To: <sip:1001@lab.example>", f"To: {to}"), ""), (OPERATOR, call.port))
        settle(one, call.port, 2 * n + 1)
    assert set(outcomes.values()) == {200, 400, 488}, outcomes
    call.is_undisturbed()


class Answering(threading.Thread):
    """Takes every call with the SDP that it holds then, twice: in a 183 and in the 200. Answers what ends it."""

    def __init__(self, one: socket.socket, registrar) -> None:
        super().__init__()
        self.one, self.proxy = one, (OPERATOR, registrar.port)
        self.body = ""
        registrar.bindings["1003"] = "sip:1003@{}:{}".format(*one.getsockname())

    def run(self) -> None:
        asked = b""
        while (message := self.one.recv(65_535)) != b"end":
            if message.startswith(b"INVITE"):
                asked = message
                self.answer(asked, "183 Session Progress", self.body)
                self.answer(asked, "200 OK", self.body)
            elif message.startswith((b"BYE", b"CANCEL")):
                self.answer(message, "200 OK", "")
                if message.startswith(b"CANCEL"):
                    self.answer(asked, "487 Request Terminated", "")

    def answer(self, request: bytes, status: str, body: str) -> None:
        vias = re.findall(r"^Via:.*\r\n", request.decode("latin-1"), re.MULTILINE)
        keep = "".join(f"{name}: {header(request, name)}\r\n" for name in ("From", "Call-ID", "CSeq"))
        to = header(request, "To")
        tag = "" if ";tag=" in to else ";tag=zz"
        contact = "Contact: <sip:1003@{}:{}>\r\n".format(*self.one.getsockname())
        top = vias[0].split("SIP/2.0/UDP ")[1].split(";")[0].strip().rpartition(":")
        head = f"SIP/2.0 {status}\r\n{''.join(vias)}{keep}To: {to}{tag}\r\n{contact}"
        self.one.sendto(with_body(head, body), (top[0], int(top[2])))


def test_no_answer_of_the_operator_disturbs_a_call(call, sender, registrar):
    """Ola calls somebody else meanwhile, who answers each time with something else."""
    one = sender(OPERATOR)
    one.settimeout(None)
    other = Answering(one, registrar)
    other.start()
    try:
        for body in SDP.values():
            other.body = body
            call.ola.send(call={"from": "1001", "to": "1003"})
            ours = call.ola.wait("calling")["call"]
            first = call.ola.wait_any(("answered", "bye"), call=ours)
            if first["event"] == "answered":
                call.ola.send(hangup=ours)
                call.ola.wait("bye", call=ours)
    finally:
        sender(OPERATOR).sendto(b"end", one.getsockname())
        other.join()
    call.is_undisturbed()


def rtp_port(registrar, user: str) -> int:
    invite = next(text for text in registrar.seen if text.startswith("INVITE") and f"sip:{user}@" in text)
    return int(re.search(r"^m=audio (\d+)", invite, re.MULTILINE)[1])


def noise(seed: int) -> Iterator[bytes]:
    """2,000 datagrams: chance alone, headers with chance behind them, RTCP of every kind with lengths that lie."""
    chance = random.Random(seed)
    for number in range(2000):
        body = chance.randbytes(chance.choice((0, 1, 3, 11, 12, 13, 40, 172, 400, 1400)))
        if number % 3 == 1:
            body = bytes([chance.choice((0x80, 0x90, 0xA0, 0xBF)), chance.randrange(256)]) + body
        elif number % 3 == 2:
            body = bytes([0x80 | chance.randrange(64), chance.randrange(192, 224)]) + chance.randbytes(2) + body
        yield body


@pytest.mark.parametrize("address", [STRANGER, OPERATOR])
def test_noise_on_the_speech_ports_ends_no_call(call, sender, registrar, address):
    """What happens to look like a packet of the call may move the library's jitter buffer: a click, and it goes on."""
    one = sender(address)
    first = rtp_port(registrar, "1002")
    for number, data in enumerate(noise(11)):
        one.sendto(data, (OPERATOR, first + number % 2))
        if not number % 20:
            time.sleep(0.02)
    call.is_undisturbed(clicks=True)


def test_good_speech_of_a_stranger_is_not_heard_and_gets_none_back(call, sender, registrar):
    """The library moves to another source of RTP after some packets, but not while the right one speaks."""
    one = sender(STRANGER)
    one.settimeout(0.01)
    first, got = rtp_port(registrar, "1002"), 0
    for number in range(150):
        packet = struct.pack("!BBHII", 0x80, 8, number, 160 * number, 0x1234) + b"\xd5" * 160
        one.sendto(packet, (OPERATOR, first))
        with contextlib.suppress(TimeoutError):
            got += len(one.recv(2000))
    assert got == 0
    call.is_undisturbed()


def test_a_flood_of_calls_given_up_at_once_disturbs_no_call(call, sender):
    """The library opens two sockets for each, without asking, and would abort at the 65th."""
    one = sender(STRANGER)
    for n in range(150):
        head = INVITE.format(own=one.getsockname(), n=n)
        one.sendto(with_body(head, HEAD + AUDIO), (OPERATOR, call.port))
        one.sendto(with_body(head.replace("INVITE", "CANCEL"), ""), (OPERATOR, call.port))
        if not n % 10:
            settle(one, call.port, n)
    call.is_undisturbed()
    assert call.invites == []
