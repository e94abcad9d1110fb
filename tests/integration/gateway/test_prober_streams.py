"""OPTIONS over TCP and TLS: a server that answers lives, and one that is not the operator's hears nothing."""

from __future__ import annotations

import queue
import socket
import ssl
import threading

import pytest

from agent.core.events import TargetAnswered
from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway.daemon.prober import Prober
from tests.certificates import Authority

ANSWER = TargetAnswered("call", "home", 1)
NAME = "sip.example.net"
OK = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def heard():
    return queue.Queue()


@pytest.fixture
def ask(heard, tmp_path):
    """Probe a target, with the roots of `root.pem`."""
    prober = Prober("127.0.0.1", heard.put, tmp_path / "root.pem")
    prober.start()
    yield lambda target: prober.probe(target, ANSWER)
    prober.stop()


class Server:
    """Takes one connection, reads one request, answers with the pieces given; `requests` gets b"" where none came."""

    def __init__(self, *answer, certificate=None):
        self.requests = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._answer, self._certificate = answer, certificate
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self.listener.accept()
        try:
            if self._certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self._certificate)
                connection = context.wrap_socket(connection, server_side=True)
            self.requests.put(connection.recv(4096))
            for piece in self._answer:
                connection.sendall(piece)
        except OSError:
            self.requests.put(b"")
        finally:
            connection.close()

    def target(self, transport=Transport.TCP, name=""):
        return Target("127.0.0.1", self.port, transport, name)

    def close(self):
        self._thread.join(5)
        self.listener.close()


@pytest.fixture
def serve():
    made = []

    def serve(*answer, certificate=None):
        made.append(Server(*answer, certificate=certificate))
        return made[-1]

    yield serve
    for server in made:
        server.close()


def test_a_server_that_answers_over_tcp_lives_however_its_answer_is_cut(serve, ask, heard):
    server = serve(b"\r\n\r\n", OK[:5], OK[5:])
    ask(server.target())
    assert heard.get(timeout=5) == ANSWER
    request = server.requests.get(timeout=5).decode()
    assert request.startswith(
        f"OPTIONS sip:127.0.0.1:{server.port} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;rport;branch="
    )
    assert "\r\nContact: <sip:probe@127.0.0.1;transport=tcp>\r\n" in request


@pytest.mark.parametrize("answer", [b"SIP/2.0 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_one_that_fails_or_speaks_something_else_is_none_to_call_by(serve, ask, heard, answer):
    server = serve(answer)
    ask(server.target())
    assert server.requests.get(timeout=5)
    server.close()
    good = serve(OK)
    ask(good.target())
    assert heard.get(timeout=5) == ANSWER
    assert heard.empty()


@pytest.mark.peer("openssl")
def test_over_tls_the_certificate_decides_who_is_asked(serve, ask, heard, tmp_path):
    authority = Authority(tmp_path)
    wrong = serve(OK, certificate=authority.issue("x", "DNS:other.example"))
    ask(wrong.target(Transport.TLS, NAME))
    assert wrong.requests.get(timeout=10) == b""
    right = serve(OK, certificate=authority.issue("x", f"DNS:{NAME}"))
    ask(right.target(Transport.TLS, NAME))
    assert heard.get(timeout=10) == ANSWER
    assert b"SIP/2.0/TLS" in right.requests.get(timeout=5)
    assert heard.empty()


def test_where_nobody_listens_nothing_is_said(ask, heard, serve):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ask(Target("127.0.0.1", closed.getsockname()[1], Transport.TCP))
        good = serve(OK)
        ask(good.target())
        assert heard.get(timeout=5) == ANSWER
    assert heard.empty()
