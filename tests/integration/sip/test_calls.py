"""Calls between two real endpoints through a registrar on loopback."""

import socket

import pytest

pytestmark = pytest.mark.e2e


def _call(caller, callee, frm="1001", to="1002"):
    caller.send(call={"from": frm, "to": to})
    call = caller.wait("calling")["call"]
    return call, callee.wait("invite")["call"]


@pytest.mark.parametrize("way", ["1001 calls", "1002 calls"])
def test_a_call_carries_speech_both_ways(pair, way):
    ola, kari = pair
    if way == "1001 calls":
        call, _ = _call(ola, kari)
    else:
        call, _ = _call(kari, ola, "1002", "1001")
        kari, ola = ola, kari
    ola.wait("answered")
    kari.wait("answered")
    assert ola.wait("heard")["hz"] == (1700 if way == "1001 calls" else 1004)
    assert kari.wait("heard")["hz"] == (1004 if way == "1001 calls" else 1700)
    ola.send(hangup=call)
    gone = ola.wait("bye")
    assert (gone["remote"], gone["stats"]["codec"]) == (False, "PCMA/8000")
    assert gone["stats"]["rx_packets"] >= 5
    assert kari.wait("bye")["remote"] is True


def test_the_level_of_speech_is_kept(pair):
    ola, kari = pair
    _call(ola, kari)
    assert ola.wait("heard")["level"] == pytest.approx(-13, abs=1)


def test_the_called_party_hangs_up(pair):
    ola, kari = pair
    _, incoming = _call(ola, kari)
    ola.wait("answered")
    kari.wait("answered")
    kari.send(hangup=incoming)
    assert kari.wait("bye")["remote"] is False
    gone = ola.wait("bye")
    assert (gone["remote"], gone["on_wire"], gone["code"]) == (True, True, 200)


def test_a_busy_subscriber_refuses_with_486(endpoint):
    ola, kari = endpoint({"1001": {}}), endpoint({"1002": {"behaviour": "busy"}})
    ola.wait("ready"), kari.wait("ready")
    _call(ola, kari)
    gone = ola.wait("bye")
    assert (gone["code"], gone["remote"], gone["on_wire"], gone["stats"]) == (486, True, True, None)


def test_the_caller_gives_up_while_it_rings(endpoint):
    ola, kari = endpoint({"1001": {}}), endpoint({"1002": {"behaviour": "ring"}})
    ola.wait("ready"), kari.wait("ready")
    call, _ = _call(ola, kari)
    ola.wait("progress", code=180)
    ola.send(hangup=call)
    assert ola.wait("bye")["remote"] is False
    gone = kari.wait("bye")
    assert (gone["code"], gone["remote"], gone["on_wire"]) == (487, True, True)


def test_nobody_answers(endpoint):
    ola, kari = endpoint({"1001": {}}), endpoint({"1002": {"behaviour": "no_answer", "answer_ms": 300}})
    ola.wait("ready"), kari.wait("ready")
    _call(ola, kari)
    assert ola.wait("bye")["code"] == 480


def test_an_unknown_number_is_refused_by_the_operator(pair):
    ola, _ = pair
    ola.send(call={"from": "1001", "to": "4000"})
    gone = ola.wait("bye")
    assert (gone["code"], gone["remote"]) == (404, True)


def test_four_calls_fit_and_the_fifth_is_refused_without_harm(endpoint):
    ola, kari = endpoint({"1001": {}}), endpoint({"1002": {"behaviour": "ring"}})
    ola.wait("ready"), kari.wait("ready")
    for _ in range(4):
        _call(ola, kari)
    ola.send(call={"from": "1001", "to": "1002"})
    assert ola.wait("refused")["reason"] == "all lines are taken"
    ola.send(hangup="all")
    for _ in range(4):
        ola.wait("bye")
        kari.wait("bye")


INVITE_WITHOUT_SDP = (
    "INVITE sip:1001@127.0.0.1:{port} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {source}:{own};branch=z9hG4bKx{n};rport\r\n"
    "From: <sip:x@x.invalid>;tag=x{n}\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: x{n}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:x@{source}:{own}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def test_a_strangers_invite_without_sdp_is_refused_and_disturbs_no_call(endpoint):
    ola, kari = endpoint({"1001": {"tone_ms": 0}}), endpoint({"1002": {"tone_hz": 1700, "tone_ms": 0}})
    port = ola.wait("listening")["port"]
    ola.wait("ready"), kari.wait("ready")
    call, _ = _call(ola, kari)
    ola.wait("heard", hz=1700)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.settimeout(5)
        own = stranger.getsockname()[1]
        text = INVITE_WITHOUT_SDP.format(port=port, source="127.0.0.2", own=own, n=1)
        stranger.sendto(text.encode(), ("127.0.0.1", port))
        answers = [stranger.recv(4000).decode().split("\r\n")[0]]
        while "100" in answers[-1]:
            answers.append(stranger.recv(4000).decode().split("\r\n")[0])
    assert answers[-1] == "SIP/2.0 403 Forbidden"
    ola.send(hangup=call)
    gone = ola.wait("bye")
    assert not any(line["event"] == "invite" for line in ola.past)
    assert not any(line["event"] == "heard" and line["hz"] == 0 for line in ola.past)
    assert gone["remote"] is False


SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)


def test_a_stranger_who_tries_again_and_again_does_not_use_up_the_sockets(endpoint):
    ola = endpoint({"1001": {}})
    port = ola.wait("listening")["port"]
    ola.wait("ready")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.settimeout(5)
        own = stranger.getsockname()[1]
        for n in range(50):
            text = INVITE_WITHOUT_SDP.format(port=port, source="127.0.0.2", own=own, n=n)
            body = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
            stranger.sendto(text.replace("Content-Length: 0\r\n\r\n", body).encode(), ("127.0.0.1", port))
            answer = "SIP/2.0 100"
            while answer.startswith("SIP/2.0 100"):
                answer = stranger.recv(4000).decode()
            assert answer.startswith("SIP/2.0 403"), n
            tag = answer.split("\r\nTo: ")[1].split("\r\n")[0]
            ack = text.replace("INVITE", "ACK").replace("To: <sip:1001@127.0.0.1>", f"To: {tag}")
            stranger.sendto(ack.encode(), ("127.0.0.1", port))
