"""OPTIONS on real sockets: who answers lives, and nobody answers for another."""

from __future__ import annotations

import queue
import re
import socket

import pytest

from agent.core.events import TargetAnswered
from agent.core.target import Target
from agent.gateway.daemon.prober import MAX_PENDING, Prober

ANSWER = TargetAnswered("call", "home", 1)


@pytest.fixture
def heard():
    return queue.Queue()


@pytest.fixture
def start(heard):
    made = []

    def start(bind="127.0.0.1"):
        made.append(Prober(bind, heard.put))
        made[-1].start()
        return made[-1]

    yield start
    for prober in made:
        prober.stop()


@pytest.fixture
def prober(start):
    return start()


class Server:
    def __init__(self, family=socket.AF_INET, address="127.0.0.1"):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.socket.bind((address, 0))
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(5)
        self.target = Target(address, self.socket.getsockname()[1])

    def request(self):
        message, self.source = self.socket.recvfrom(4096)
        return message.decode()

    def answer(self, request, status="200 OK", call_id=None):
        kept = "".join(re.findall(r"^(?:Via|From|To|CSeq): .*\r\n", request, re.MULTILINE))
        call_id = call_id or re.search(r"^Call-ID: (\S+)", request, re.MULTILINE)[1]
        self.socket.sendto(f"SIP/2.0 {status}\r\n{kept}Call-ID: {call_id}\r\n\r\n".encode(), self.source)


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request):
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        made = Server(family, request.param)
    except OSError:
        pytest.skip("this machine has no such address")
    yield made
    made.socket.close()


def test_a_target_that_answers_lives_whatever_it_says(start, heard, server):
    prober = start(server.target.address)
    for status in ("200 OK", "404 Not Found", "405 Method Not Allowed", "603 Decline"):
        prober.probe(server.target, ANSWER)
        request = server.request()
        assert request.startswith(f"OPTIONS sip:{server.target.route[5:].split(';')[0]} SIP/2.0\r\n")
        server.answer(request, status)
        assert heard.get(timeout=5) == ANSWER


def test_a_server_that_cannot_serve_a_forged_answer_and_noise_count_for_nothing(start, heard, server):
    prober = start(server.target.address)
    prober.probe(server.target, ANSWER)
    request = server.request()
    server.answer(request, "503 Service Unavailable")
    server.answer(request, call_id="0" * 32)
    for noise in (b"", b"SIP/2.0 200 OK\r\n\r\n", b"\x00" * 2000, request.encode(), b"SIP/2.0 999 x\r\nCall-ID: x\r\n"):
        server.socket.sendto(noise, server.source)
    server.answer(request)
    assert heard.get(timeout=5) == ANSWER
    server.answer(request)
    prober.probe(server.target, TargetAnswered("next", "home", 0))
    server.answer(server.request())
    assert heard.get(timeout=5).call_id == "next"
    assert heard.empty()


def test_another_address_cannot_answer_for_a_target(prober, heard):
    server, stranger = Server(), Server(address="127.0.0.2")
    prober.probe(server.target, ANSWER)
    request = server.request()
    stranger.source = server.source
    stranger.answer(request)
    prober.probe(server.target, TargetAnswered("next", "home", 0))
    server.answer(server.request())
    assert heard.get(timeout=5).call_id == "next"
    assert heard.empty()
    server.socket.close()
    stranger.socket.close()


@pytest.mark.parametrize("server", ["::1"], indirect=True)
def test_a_target_of_a_family_that_sip_does_not_speak_is_not_asked(prober, server):
    prober.probe(server.target, ANSWER)
    server.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.request()


def test_what_cannot_be_reached_is_silent_and_questions_are_bounded(prober, heard):
    for _ in range(3 * MAX_PENDING):
        prober.probe(Target("127.0.0.1", 9), ANSWER)
        prober.probe(Target("2001:db8::1", 5060), ANSWER)
    assert len(prober._pending) == MAX_PENDING
    assert heard.empty()
