"""What far ends are told to send speech to when a STUN server is asked, and that no call ever waits for a dead one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

STUN = (
    f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
    """
from agent.core.stun import parse_server
from agent.gateway.daemon.stun_watch import StunWatch
from stun_server import StunServer, success

def start(patience_ms, say=None):
    # A registered-like account with a peer for its target, and a STUN server that has been heard.
    server = StunServer(say)
    watch = StunWatch("127.0.0.1", lambda seen: None, patience_ms)
    driver = Driver(observer=watch)
    driver.port = driver.wait(events.SipReady).local_port
    peer = Peer(driver)
    driver.stack.configure([account(targets=[peer.place + ";transport=udp"])])
    watch.use(parse_server(server.place))
    return server, watch, driver, peer

def until(driver, true, timeout_ms=9000):
    deadline = boot_ms() + timeout_ms
    while not true():
        assert boot_ms() < deadline
        driver.stack.poll(20)

def heard(driver, watch):
    # The watch knows that the server answers: it looks whenever a handset is lifted, which is done here.
    def answers():
        watch.look()
        return watch.seen.answers
    until(driver, answers)

def invite(driver, peer, user, emergency=False):
    driver.stack.perform(actions.Invite(user, "1001", user, 0, emergency))
    return peer.receive(b"INVITE sip:" + user.encode())

def offered(driver, peer, user, emergency=False):
    # Where the far end of a call that finds nobody is to send speech.
    request = invite(driver, peer, user, emergency)
    peer.answer(request, b"486 Busy Here")
    driver.wait(events.CallOver)
    return media(request)

def media(message):
    # Address and port of the speech, and those of RTCP, as the far end reads them.
    lines = message.decode().split("\\r\\n\\r\\n", 1)[1]
    address = re.findall(r"^c=IN IP4 ([\\d.]+)\\r$", lines, re.MULTILINE)
    port = re.findall(r"^m=audio (\\d+) ", lines, re.MULTILINE)
    rtcp = re.findall(r"^a=rtcp:(\\d+) IN IP4 ([\\d.]+)\\r$", lines, re.MULTILINE)
    assert (len(address), len(port), len(rtcp)) == (1, 1, 1), lines
    return [address[0], int(port[0]), rtcp[0][1], int(rtcp[0][0])]

def finish(server, watch, driver):
    driver.stack.close()
    watch.stop()
    server.close()
"""
)


def test_offers_and_answers_name_where_the_server_sees_the_calls_own_sockets(script):
    result = script(
        STUN
        + """
server, watch, driver, peer = start(5000)
server.say = server.elsewhere("127.0.0.9")
heard(driver, watch)
before = len(server.asked)
offer = offered(driver, peer, "one")
asked = server.asked[before:]

# 112 needs to be heard as much as any other call.
emergency = media(talk(driver, peer, "sos") or b"")
before = len(server.asked)
driver.stack.perform(actions.Hold("sos"))
again = peer.receive(b"INVITE")
held = [media(again), way(again), len(server.asked) - before]
peer.answer(again, b"200 OK", way_of_sdp(b"recvonly"))
driver.wait(events.HoldDone)
driver.stack.perform(actions.HangUp("sos"))
driver.wait(events.CallOver)

peer.invite(b"in")
driver.stack.perform(actions.Answer(driver.wait(events.IncomingInvite).call_id, 0))
answer = media(peer.final())

# Nobody is asked for the sake of whom we refuse.
before = len(server.asked)
stranger = Peer(driver, "127.0.0.2")
stranger.invite(b"stranger")
refused = [stranger.final()[:11].decode(), len(server.asked) - before]
finish(server, watch, driver)
say("done", offer=offer, asked=asked, emergency=emergency, held=held, answer=answer,
    refused=refused, failures=driver.stack.callback_failures,
    logs=[line for line in driver.logs if line[0] == "error"])
"""
    )
    address, port, rtcp_address, rtcp_port = result["offer"]
    assert (address, rtcp_address) == ("127.0.0.9", "127.0.0.9")
    assert result["asked"] == [port - 1000, rtcp_port - 1000], "each socket asks once, for itself"
    assert result["emergency"][0] == result["answer"][0] == "127.0.0.9"
    assert result["held"] == [result["emergency"], "sendonly", 0], "the address stays, and nobody is asked again"
    assert result["refused"] == ["SIP/2.0 403", 0]
    assert (result["failures"], result["logs"]) == (0, [])


def test_speech_that_is_sent_to_the_outer_address_is_heard(script):
    result = script(
        STUN
        + """
import threading
# A router: what comes to its outer port goes to the socket inside that had asked.
outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
outer.bind(("127.0.0.9", 0))
inside = []
def mapped(transaction, source):
    inside.append(source)
    return [success(transaction, *outer.getsockname())] if len(inside) % 2 else [success(transaction, "127.0.0.9", 9)]
server, watch, driver, peer = start(5000)
heard(driver, watch)
server.say = mapped
def forward():
    while True:
        outer.sendto(outer.recv(2000), inside[0])
threading.Thread(target=forward, daemon=True).start()

far = FarEnd(driver)
far.invite = invite(driver, peer, "out")
place = media(far.invite)
peer.answer(far.invite, b"200 OK", far.sdp())
driver.wait(events.CallAnswered)
payload = b"\\xd5" * 160
for number in range(20):
    far.rtp.sendto(struct.pack("!BBHI4s", 0x80, 8, number, number * 160, b"peer") + payload, (place[0], place[1]))
    driver.stack.poll(20)
stats = end(driver)
watch.stop()
server.close()
say("done", heard=stats.rx_packets, place=place, outer=outer.getsockname())
"""
    )
    assert result["place"][:2] == result["outer"]
    assert result["heard"] >= 15


def test_a_silent_server_is_asked_by_no_call(script):
    result = script(
        STUN
        + """
server, watch, driver, peer = start(400)
server.say = server.silence
until(driver, lambda: server.asked)
watchers = set(server.asked)
offers = [offered(driver, peer, "one"), offered(driver, peer, "112", emergency=True)]
own = {port for offer in offers for port in (offer[1], offer[3])}
finish(server, watch, driver)
say("done", offers=offers, asked_by_calls=len(own & set(server.asked)), answers=watch.seen.answers)
"""
    )
    assert [offer[0] for offer in result["offers"]] == ["127.0.0.1", "127.0.0.1"]
    assert (result["asked_by_calls"], result["answers"]) == (0, False)


def test_a_server_that_dies_is_asked_by_one_call_more_and_by_the_next_when_it_is_back(script):
    result = script(
        STUN
        + """
server, watch, driver, peer = start(400)
server.say = server.elsewhere("127.0.0.9")
heard(driver, watch)
server.say = server.silence
first = offered(driver, peer, "one")
asked = [server.asked.count(port) for port in (first[1], first[3])]
sos = offered(driver, peer, "112", emergency=True)
asked += [server.asked.count(port) for port in (sos[1], sos[3])]
server.say = server.elsewhere("127.0.0.9")
heard(driver, watch)
back = offered(driver, peer, "back")
finish(server, watch, driver)
say("done", first=first, sos=sos, back=back, asked=asked)
"""
    )
    assert (result["first"][0], result["sos"][0], result["back"][0]) == ("127.0.0.1", "127.0.0.1", "127.0.0.9")
    assert result["asked"] == [2, 2, 0, 0], "two datagrams of each socket, then none"


def test_forged_and_spoilt_answers_change_nothing_and_a_late_one_hurts_nobody(script):
    result = script(
        STUN
        + """
stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stranger.bind(("127.0.0.1", 0))
late = []

def forged(transaction, source):
    near = transaction[:-1] + bytes([transaction[-1] ^ 1])
    return [success(other, "127.0.0.9", 9) for other in (bytes(12), near)]

def garbage(transaction, source):
    whole = success(transaction, "127.0.0.9", 9)
    return [b"", b"\\0", whole[:-1], whole + b"x", b"\\x80" * 1400, bytes(20), whole[:20], b"INVITE sip:x SIP/2.0"]

def by_another(transaction, source):
    stranger.sendto(success(transaction, "127.0.0.9", 9), source)
    return []

def too_late(transaction, source):
    late.append((success(transaction, "127.0.0.9", 9), source))
    return []

server, watch, driver, peer = start(400)
offers = {}
for how in (forged, garbage, by_another):
    server.say = server.truth
    heard(driver, watch)
    server.say = how
    offers[how.__name__] = offered(driver, peer, how.__name__)
server.say = server.truth
heard(driver, watch)
server.say = too_late
offer = talk(driver, peer)
offers["too_late"] = media(offer)
for answer, source in late:
    server.socket.sendto(answer, source)
far = FarEnd(driver)
far.hear(offer)
far.send(20)
stats = end(driver)
watch.stop()
server.close()
say("done", offers=offers, heard=stats.rx_packets, late=len(late), failures=driver.stack.callback_failures)
"""
    )
    assert {name: offer[0] for name, offer in result["offers"].items()} == dict.fromkeys(
        ("forged", "garbage", "by_another", "too_late"), "127.0.0.1"
    )
    assert result["late"] >= 4
    assert result["heard"] >= 15
    assert result["failures"] == 0
