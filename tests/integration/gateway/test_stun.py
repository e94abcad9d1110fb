"""The STUN server on real sockets: asked before it is needed, told of as it stands, and never waited for."""

from __future__ import annotations

import os
import queue
import socket

import pytest

from agent.core.stun import parse_server
from agent.gateway.daemon.sip.outside import Nobody, Outside
from agent.gateway.daemon.stun import Stun
from agent.gateway.protocol import StunState
from tests.stun_server import StunServer

PATIENCE_MS = 500
WAIT_S = 20


@pytest.fixture
def server():
    made = StunServer()
    yield made
    made.close()


@pytest.fixture
def told():
    return queue.Queue()


@pytest.fixture
def logs():
    return []


@pytest.fixture
def stun(told, logs):
    made = Stun("127.0.0.1", told.put, lambda *line: logs.append(line), PATIENCE_MS)
    yield made
    made.watch.stop()


def reachable(_address):
    return ""


def until(told, **fields):
    """The next record with these fields; those before it were news as well."""
    while True:
        record = told.get(timeout=WAIT_S)
        if all(getattr(record, name) == value for name, value in fields.items()):
            return record


def sockets(count=2):
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in made:
        sock.bind(("127.0.0.1", 0))
    return made


def test_a_server_that_answers_says_from_where_it_sees_us(stun, server, told, logs):
    server.say = server.elsewhere("198.51.100.7")
    stun.use(server.place, reachable)
    assert until(told, answers=True) == StunState(server=server.place, answers=True, outside="198.51.100.7")
    assert list(stun.records) == [StunState(server=server.place, answers=True, outside="198.51.100.7")]
    assert logs == [("info", "stun_server_answers", server.place)]


def test_sockets_are_asked_from_each_for_itself(stun, server, told):
    stun.use(server.place, reachable)
    until(told, answers=True)
    ours = sockets()
    found = stun.watch.ask_from(ours)
    assert [(place.address, place.port) for place in found] == [sock.getsockname() for sock in ours]
    for sock in ours:
        sock.close()


def test_a_server_that_was_never_heard_is_not_asked(stun, server, told):
    server.say = server.silence
    stun.use(server.place, reachable)
    ours = sockets()
    assert stun.watch.ask_from(ours) == (None, None)
    assert not {sock.getsockname()[1] for sock in ours} & set(server.asked)
    for sock in ours:
        sock.close()


def test_a_server_that_falls_silent_is_found_out_once_and_told_of_and_forgiven(stun, server, told, logs):
    stun.use(server.place, reachable)
    until(told, answers=True)
    server.say = server.silence
    ours = sockets()
    assert stun.watch.ask_from(ours) == (None, None)
    asked = [server.asked.count(sock.getsockname()[1]) for sock in ours]
    assert stun.watch.ask_from(ours) == (None, None)
    assert [server.asked.count(sock.getsockname()[1]) for sock in ours] == asked == [2, 2]
    assert until(told, answers=False).outside == "127.0.0.1", "where it saw us last is worth knowing"
    server.say = server.truth
    stun.watch.look()
    until(told, answers=True)
    assert [line[1] for line in logs] == ["stun_server_answers", "stun_server_silent", "stun_server_answers"]
    for sock in ours:
        sock.close()


def test_one_socket_without_an_answer_is_no_answer_for_the_call(stun, server, told):
    stun.use(server.place, reachable)
    until(told, answers=True)
    first, second = sockets()
    server.say = lambda transaction, source: server.truth(transaction, source) * (source == first.getsockname())
    found = stun.watch.ask_from([first, second])
    assert found[1] is None
    assert not stun.watch.seen.answers
    first.close()
    second.close()


def test_a_server_out_of_reach_is_refused_by_name_once_and_not_asked(stun, told, logs):
    for _ in range(2):
        stun.use("[2001:db8::1]:3478", lambda address: f"{address} is an IPv6 address, and this library has none")
    refusal = "stun_server '[2001:db8::1]:3478' is not asked: 2001:db8::1 is an IPv6 address, and this library has none"
    assert until(told) == StunState(server="[2001:db8::1]:3478", refusal=refusal)
    assert logs == [("error", "stun_server_refused", refusal)]
    assert stun.watch.seen.server is None


def test_another_server_takes_the_place_of_the_first_and_none_that_of_both(stun, server, told):
    stun.use(server.place, reachable)
    until(told, answers=True)
    other = StunServer()
    stun.use(other.place, reachable)
    until(told, server=other.place, answers=True)
    other.close()
    stun.use("", reachable)
    assert until(told, server="") == StunState()
    (ours,) = sockets(1)
    assert stun.watch.ask_from([ours]) == (None,)
    ours.close()


def test_without_a_server_nobody_is_told_anything_and_no_thread_runs(stun, told):
    stun.use("", reachable)
    assert (told.empty(), list(stun.records)) == (True, [])
    stun.watch.look()
    assert stun.watch.seen.server is None


def test_an_address_that_is_not_ours_is_silence(told, logs, server):
    stun = Stun("192.0.2.77", told.put, lambda *line: logs.append(line), PATIENCE_MS)
    stun.use(server.place, reachable)
    assert until(told) == StunState(server=str(parse_server(server.place)))
    stun.watch.stop()
    assert (server.asked, stun.watch.seen.answers) == ([], False)


def description(pair):
    rtp, rtcp = (sock.getsockname()[1] for sock in pair)
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {rtp} RTP/AVP 8\r\na=rtcp:{rtcp} IN IP4 127.0.0.1\r\n"
    )


def test_a_call_asks_by_its_own_sockets_once_and_leaves_them_as_they_were(stun, server, told):
    stun.use(server.place, reachable)
    until(told, answers=True)
    server.say = server.elsewhere("198.51.100.7")
    before, pair, call = len(server.asked), sockets(), Outside()
    for sock in pair:
        sock.setblocking(False)
    sdp = description(pair)
    seen = [call.described(sdp, stun.watch) for _ in range(2)]
    assert "c=IN IP4 198.51.100.7\r\n" in seen[0]
    assert seen[1] == seen[0]
    assert server.asked[before:] == [sock.getsockname()[1] for sock in pair]
    assert not any(os.get_blocking(sock.fileno()) for sock in pair), "the library's thread would wait on them for ever"
    for sock in pair:
        sock.close()


def test_new_sockets_of_a_call_ask_anew_though_their_ports_be_the_same(stun, server, told):
    stun.use(server.place, reachable)
    until(told, answers=True)
    server.say = server.elsewhere("198.51.100.7")
    pair, call = sockets(), Outside()
    sdp, places = description(pair), [sock.getsockname() for sock in pair]
    call.described(sdp, stun.watch)
    for sock in pair:
        sock.close()
    server.say = server.elsewhere("203.0.113.7")
    pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in places]
    for sock, place in zip(pair, places, strict=True):
        sock.bind(place)
    assert "c=IN IP4 203.0.113.7\r\n" in call.described(sdp, stun.watch)
    for sock in pair:
        sock.close()


def test_a_call_that_began_while_nobody_answered_asks_nobody_later(stun, server, told):
    pair, call = sockets(), Outside()
    sdp = description(pair)
    assert call.described(sdp, Nobody()) == sdp
    stun.use(server.place, reachable)
    until(told, answers=True)
    server.say = server.elsewhere("198.51.100.7")
    before = len(server.asked)
    assert call.described(sdp, stun.watch) == sdp
    assert server.asked[before:] == []
    for sock in pair:
        sock.close()


def test_ports_that_are_not_ours_are_left_as_they_are(stun, server, told):
    stun.use(server.place, reachable)
    until(told, answers=True)
    pair = sockets()
    sdp = description(pair)
    for sock in pair:
        sock.close()
    assert Outside().described(sdp, stun.watch) == sdp
