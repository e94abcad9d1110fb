"""TCP and TLS to the operator: what goes by them, whom they trust, and that nothing of ours listens for strangers."""

from __future__ import annotations

import re

import pytest

from tests.certificates import Authority, self_signed

pytestmark = pytest.mark.e2e

NAME = "sip.example.net"
"""A name that no DNS knows: only our own resolver's answer, in the target, leads to it."""

STREAMS = """
import queue, ssl, threading

class StreamPeer(Peer):
    # A target that listens on TCP, with a certificate on TLS; answers go back by the connection that was opened last.

    def __init__(self, driver, certificate=None):
        self.driver, self.past, self.heard, self.connections = driver, [], queue.Queue(), []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            data = b""
            while more := connection.recv(65535):
                if not data and connection not in self.connections:
                    self.connections.append(connection)
                data += more
                while b"\\r\\n\\r\\n" in data:
                    top, _, rest = data.partition(b"\\r\\n\\r\\n")
                    length = int((re.search(rb"Content-Length: *(\\d+)", top) or (0, b"0"))[1])
                    if len(rest) < length:
                        break
                    if top:
                        self.heard.put(top + b"\\r\\n\\r\\n" + rest[:length])
                    data = rest[length:]
        except OSError:
            return

    def receive(self, begins=b"", timeout_ms=5000):
        deadline = boot_ms() + timeout_ms
        while boot_ms() < deadline:
            self.driver.stack.poll(20)
            try:
                message = self.heard.get_nowait()
            except queue.Empty:
                continue
            self.past.append(message)
            if message.startswith(begins):
                return message
        return None

    def send(self, message):
        self.connections[-1].sendall(message)

def start(target, certificate=None, **fields):
    driver = Driver(**fields)
    driver.port = driver.wait(events.SipReady).local_port
    peer = StreamPeer(driver, certificate)
    driver.stack.configure([account(targets=[target % peer.place])])
    return driver, peer

def register(driver, peer):
    driver.stack.perform(actions.Register("1001"))
    request = peer.receive(b"REGISTER")
    peer.answer(request, b"200 OK", more=b"Contact: " + head(request, b"Contact") + b";expires=60\\r\\n")
    driver.wait(events.Registered)
    return request

def leave(driver, peer):
    # Unregister as the Switch does, so that the stack's end waits for nobody.
    driver.stack.perform(actions.Unregister("1001"))
    peer.answer(peer.receive(b"REGISTER"), b"200 OK")
    driver.wait(events.Unregistered)
    driver.stack.close()

def sent_by(request):
    return head(request, b"Via").decode()

def source(peer, at=-1):
    return "%s:%d" % peer.connections[at].getpeername()
"""


def test_registration_options_and_calls_go_by_one_tcp_connection_of_ours(script):
    result = script(
        STREAMS
        + """
driver, peer = start("%s;transport=tcp")
first = register(driver, peer)
driver.stack.perform(actions.ProbePath("1001"))
options = peer.receive(b"OPTIONS")
peer.answer(options, b"200 OK")
alive = driver.wait(events.PathProbed).alive
invite = talk(driver, peer)
ack = peer.receive(b"ACK")
driver.stack.perform(actions.HangUp("out"))
bye = peer.receive(b"BYE")
peer.answer(bye, b"200 OK")
driver.wait(events.CallOver)
connections = len(peer.connections)
leave(driver, peer)
say("done", vias=[sent_by(one) for one in (first, options, invite, ack, bye)], source=source(peer), alive=alive,
    contacts=[head(one, b"Contact").decode() for one in (first, invite)], connections=connections,
    transports=[message.transport for message in driver.stack.trace()[1]])
"""
    )
    assert (result["connections"], result["alive"]) == (1, True)
    assert all(via.startswith(f"SIP/2.0/TCP {result['source']};") for via in result["vias"])
    assert all(f"@{result['source']};transport=tcp;" in contact for contact in result["contacts"])
    assert set(result["transports"]) == {"TCP"}


def test_a_withheld_call_over_tcp_without_registration_says_where_its_connection_is_and_not_whose(script):
    result = script(
        STREAMS
        + """
driver, peer = start("%s;transport=tcp")
driver.stack.perform(actions.Invite("out", "1001", "22334455", 0, withhold=True))
invite = peer.receive(b"INVITE")
peer.answer(invite, b"486 Busy Here")
driver.wait(events.CallOver)
driver.stack.close()
say("done", contact=head(invite, b"Contact").decode(), source=source(peer), connections=len(peer.connections))
"""
    )
    assert re.match(rf"<sip:x[0-9a-f]{{20}}@{result['source']};transport=tcp;line=", result["contact"])
    assert result["connections"] == 1


def test_behind_a_router_the_registration_over_tcp_leads_to_where_its_connection_is_seen(script):
    result = script(
        STREAMS
        + """
driver, peer = start("%s;transport=tcp")
driver.stack.perform(actions.Register("1001"))
said = []
while register := peer.receive(b"REGISTER", 1000):
    contact = head(register, b"Contact")
    said.append([head(register, b"Expires").decode(), contact.decode()])
    seen = register.replace(b";rport;", b";rport=4711;received=127.0.0.9;", 1)
    bound = b"" if head(register, b"Expires") == b"0" else b"Contact: " + contact + b";expires=60\\r\\n"
    peer.answer(seen, b"200 OK", more=bound)
driver.wait(events.Registered)
driver.stack.close()
say("done", said=said, source=source(peer), connections=len(peer.connections))
"""
    )
    places = [(expires, re.search(r"@([^;]+);transport=tcp;", contact)[1]) for expires, contact in result["said"]]
    local, public = result["source"], "127.0.0.9:4711"
    assert places == [("300", local), ("0", local), ("300", public)]
    assert result["connections"] == 1


def test_a_lost_way_over_tcp_becomes_another_connection(script):
    result = script(
        STREAMS
        + """
driver, peer = start("%s;transport=tcp")
register(driver, peer)
driver.stack.perform(actions.NewPort("1001"))
driver.stack.perform(actions.ProbePath("1001"))
options = peer.receive(b"OPTIONS")
peer.answer(options, b"200 OK")
driver.wait(events.PathProbed)
leave(driver, peer)
say("done", sources=[source(peer, at) for at in range(len(peer.connections))], via=sent_by(options))
"""
    )
    first, second = result["sources"]
    assert first != second
    assert f" {second};" in result["via"]


@pytest.mark.parametrize("kind", ["tcp", pytest.param("tls", marks=pytest.mark.peer("openssl"))])
def test_nobody_can_connect_to_a_telephone(script, tmp_path, kind):
    certificate = Authority(tmp_path).issue("x", "IP:127.0.0.1") if kind == "tls" else ""
    result = script(
        STREAMS
        + f"""
kind, certificate, root = {kind!r}, {str(certificate)!r}, {str(tmp_path / "root.pem")!r}
from pathlib import Path
driver, peer = start("%s;transport=" + kind, certificate, ca_file=Path(root))
register(driver, peer)
"""
        + """
listening = []
for entry in os.listdir("/proc/self/fd"):
    try:
        copy = socket.socket(fileno=os.dup(int(entry)))
    except OSError:
        continue
    with copy:
        if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listening.append(copy.getsockname())
listening.remove(peer.listener.getsockname())
ends = []
for place in listening:
    with socket.socket() as caller:
        caller.settimeout(0.5)
        try:
            caller.connect(place)
            ends.append("connected")
        except OSError as error:
            ends.append(type(error).__name__)
leave(driver, peer)
say("done", listening=listening, ends=ends)
"""
    )
    assert len(result["listening"]) == 1, "the library has opened its listener, which is what this test is about"
    assert result["ends"] == ["TimeoutError"]


def test_a_request_too_large_for_a_datagram_stays_with_the_transport_that_its_target_has(script):
    result = script(
        STREAMS
        + """
driver, peer = with_peer(id="1001")
tcp = StreamPeer(driver)
long = "x" * 100
driver.stack.configure([
    account(targets=[peer.place + ";transport=udp"], user=long, domain=".".join([long[:60]] * 4)),
    account("1002", targets=[tcp.place + ";transport=tcp"]),
])
driver.stack.perform(actions.Invite("out", "1001", long + "2", 0, True))
invite = peer.receive(b"INVITE")
say("done", length=len(invite or b""), streams=len(tcp.connections), via=sent_by(invite))
driver.stack.close()
"""
    )
    assert result["length"] > 1300
    assert result["via"].startswith("SIP/2.0/UDP")
    assert result["streams"] == 0


@pytest.mark.peer("openssl")
def test_tls_by_a_name_that_only_our_resolver_knows(script, tmp_path):
    authority = Authority(tmp_path)
    certificate = authority.issue("whoever", f"DNS:{NAME}")
    result = script(
        STREAMS
        + f"""
from pathlib import Path
driver, peer = start("{NAME}@%s;transport=tls", {str(certificate)!r}, ca_file=Path({str(authority.root)!r}))
"""
        + """
first = register(driver, peer)
invite = talk(driver, peer)
driver.stack.perform(actions.HangUp("out"))
peer.answer(peer.receive(b"BYE"), b"200 OK")
driver.wait(events.CallOver)
version, connections = peer.connections[-1].version(), len(peer.connections)
leave(driver, peer)
say("done", via=sent_by(first), route=head(first, b"Route").decode(),
    invite=sent_by(invite), version=version, connections=connections)
"""
    )
    assert result["route"].startswith(f"<sip:{NAME}:")
    assert result["connections"] == 1, result
    assert all(result[name].startswith("SIP/2.0/TLS ") for name in ("via", "invite"))
    assert result["version"] in ("TLSv1.2", "TLSv1.3")


SILENT_DNS = """
import ctypes, subprocess
assert ctypes.CDLL(None).unshare(0x40000000 | 0x00020000) == 0
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for words in (
    "ip link set lo up", "mount --make-rprivate /", "mount --bind " + RESOLV_CONF + " /etc/resolv.conf",
):
    subprocess.run(words.split(), check=True)
resolver.bind(("127.0.0.1", 53))
resolver.setblocking(False)

def asked():
    # Whether anybody has asked the DNS, which answers nothing.
    try:
        return resolver.recv(512)[12:].decode("latin-1")
    except BlockingIOError:
        return ""
"""


@pytest.mark.peer("openssl", "ip", "mount")
def test_the_library_asks_no_dns_for_the_name_of_a_server(script, tmp_path):
    """It would wait for the answer, and with it the telephone: no dial tone, no 112."""
    authority = Authority(tmp_path)
    certificate = authority.issue("whoever", f"DNS:{NAME}")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    result = script(
        f"RESOLV_CONF = {str(tmp_path / 'resolv.conf')!r}"
        + SILENT_DNS
        + STREAMS
        + f"""
from pathlib import Path
driver, peer = start("{NAME}@%s;transport=tls", {str(certificate)!r}, ca_file=Path({str(authority.root)!r}))
"""
        + """
driver.stack.perform(actions.Invite("112", "1001", "112", 0, emergency=True))
peer.answer(peer.receive(b"INVITE"), b"486 Busy Here")
driver.wait(events.CallOver)
register(driver, peer)
driver.stack.perform(actions.ProbePath("1001"))
peer.answer(peer.receive(b"OPTIONS"), b"200 OK")
talk(driver, peer)
driver.stack.perform(actions.HangUp("out"))
peer.answer(peer.receive(b"BYE"), b"200 OK")
driver.wait(events.CallOver)
leave(driver, peer)
say("done", asked=asked())
"""
    )
    assert result["asked"] == ""


@pytest.mark.peer("openssl")
def test_a_server_that_is_not_the_operators_is_told_of_and_hears_nothing(script, tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    certificates = {
        "is for other.example, not for": authority.issue("x", "DNS:other.example"),
        "is for *.example.net, not for": authority.issue("x", "DNS:*.example.net"),
        "has expired": authority.issue("x", f"DNS:{NAME}", days=-1),
        "is self-signed": self_signed(tmp_path, NAME),
        "was issued by nobody that this adapter trusts": other.issue("x", f"DNS:{NAME}"),
        "only as its common name, which does not count: it has no alternative name": authority.issue(NAME),
        "which does not count: its alternative names are other.example": authority.issue(NAME, "DNS:other.example"),
    }
    result = script(
        STREAMS
        + f"""
from pathlib import Path
certificates = {[str(path) for path in certificates.values()]!r}
driver = Driver(ca_file=Path({str(authority.root)!r}))
driver.port = driver.wait(events.SipReady).local_port
peers = [StreamPeer(driver, certificate) for certificate in certificates]
driver.stack.configure([account(targets=["{NAME}@%s;transport=tls" % peer.place for peer in peers])])
"""
        + """
ends = []
for at, peer in enumerate(peers):
    driver.stack.perform(actions.Register("1001", at))
    failed = driver.wait(events.RegistrationFailed)
    ends.append([failed.reason, failed.code, failed.on_wire])
driver.stack.perform(actions.Invite("out", "1001", "112", 0))
over = driver.wait(events.CallOver)
heard = [peer.receive(timeout_ms=50) for peer in peers]
driver.stack.close()
say("done", ends=ends, over=[over.call_id, over.code, over.on_wire, over.reason], heard=[one is None for one in heard])
"""
    )
    for words, (reason, code, on_wire) in zip(certificates, result["ends"], strict=True):
        assert words in reason
        assert NAME in reason
        assert (code, on_wire) == (0, False)
    assert result["over"][:3] == ["out", 0, False]
    assert "not for" in result["over"][3]
    assert all(result["heard"])


@pytest.mark.peer("openssl")
def test_an_emergency_call_goes_through_whatever_the_certificate_says_and_nothing_else_does(script, tmp_path):
    authority = Authority(tmp_path)
    expired = authority.issue("x", f"DNS:{NAME}", days=-1)
    result = script(
        STREAMS
        + f"""
from pathlib import Path
driver, peer = start("{NAME}@%s;transport=tls", {str(expired)!r}, ca_file=Path({str(authority.root)!r}))
"""
        + """
driver.stack.perform(actions.Invite("ordinary", "1001", "22334455", 0))
ordinary = driver.wait(events.CallOver)
talk(driver, peer)
driver.stack.perform(actions.HangUp("out"))
peer.answer(peer.receive(b"BYE"), b"200 OK")
driver.wait(events.CallOver)
driver.stack.perform(actions.Invite("again", "1001", "22334455", 0))
again = driver.wait(events.CallOver)
driver.stack.perform(actions.Register("1001"))
failed = driver.wait(events.RegistrationFailed)
heard = [message.split()[0].decode() for message in peer.past]
while more := peer.receive(timeout_ms=50):
    heard.append(more.split()[0].decode())
driver.stack.close()
say("done", reasons=[ordinary.reason, again.reason, failed.reason], heard=heard,
    told=[line for line in driver.logs if line[1] == "emergency_call_by_an_unproven_server"])
"""
    )
    assert all("has expired" in reason for reason in result["reasons"])
    assert result["heard"] == ["INVITE", "ACK", "BYE"]
    assert len(result["told"]) == 1


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("srtp", ["off", "optional", "mandatory"])
def test_what_is_said_of_encrypted_speech_over_tls_and_what_a_far_end_without_it_gets(script, tmp_path, srtp):
    authority = Authority(tmp_path)
    certificate = authority.issue("x", f"DNS:{NAME}")
    result = script(
        STREAMS
        + f"""
from pathlib import Path
from agent.core.srtp import Srtp
driver, peer = start("{NAME}@%s;transport=tls", {str(certificate)!r}, ca_file=Path({str(authority.root)!r}))
driver.stack.configure([account(targets=["{NAME}@%s;transport=tls" % peer.place], srtp=Srtp({srtp!r}))])
register(driver, peer)
def dial(name, emergency):
    driver.stack.perform(actions.Invite(name, "1001", "112", 0, emergency))
    offer = peer.receive(b"INVITE")
    peer.answer(offer, b"200 OK", SDP)
    driver.wait(events.CallAnswered)
    bye = peer.receive(b"BYE", 1000)
    stays = bye is None
    if stays:
        driver.stack.perform(actions.HangUp(name))
        bye = peer.receive(b"BYE")
    peer.answer(bye, b"200 OK")
    over = driver.wait(events.CallOver)
    spoke = over.stats is not None
    media = re.search(rb"^m=audio \\d+ (\\S+)", offer, re.MULTILINE)
    return media[1].decode(), offer.count(b"a=crypto"), stays, spoke
outgoing = dial("out", False)
urgent = dial("urgent", True)
peer.request(b"INVITE sip:1001@127.0.0.1", b"<sip:a@lab.example>;tag=s", b"<sip:1001@lab.example>", b"in", b"", SDP)
answered = peer.final(1500) or b""
rings = any(isinstance(event, events.IncomingInvite) for event in driver.seen)
driver.stack.close()
say("done", outgoing=outgoing, urgent=urgent, answered=answered[:11].decode(), rings=rings)
"""
    )
    profile = "RTP/SAVP" if srtp == "mandatory" else "RTP/AVP"
    assert result["outgoing"][0] == profile
    assert (result["outgoing"][1] > 0) == (srtp != "off")
    assert result["outgoing"][2:] == [srtp != "mandatory"] * 2, "without keys no speech, and the library ends the call"
    assert [result["urgent"][0], *result["urgent"][2:]] == ["RTP/AVP", True, True]
    assert result["rings"] == (srtp != "mandatory")
    assert (result["answered"] == "SIP/2.0 488") == (srtp == "mandatory")


def test_where_speech_must_be_encrypted_a_target_without_tls_is_refused_by_name(script):
    result = script("""
from agent.core.srtp import Srtp
driver, peer = with_peer(srtp=Srtp.MANDATORY)
driver.stack.perform(actions.Register("1001"))
failed = driver.wait(events.RegistrationFailed)
driver.stack.perform(actions.Invite("ordinary", "1001", "22334455", 0))
over = driver.wait(events.CallOver)
silent = peer.receive(timeout_ms=50) is None
invite = talk(driver, peer)
driver.stack.close()
say("done", reasons=[failed.reason, over.reason], silent=silent, crypto=invite.count(b"a=crypto"))
""")
    assert all(reason == "1001 must have SRTP, whose keys udp would show to all" for reason in result["reasons"])
    assert result["silent"]
    assert result["crypto"] == 0


def test_nobody_can_guess_what_our_contact_says_and_a_restart_says_the_same(script):
    def token(seed):
        result = script(f"""
driver = Driver(contact_seed={seed!r})
driver.port = driver.wait(events.SipReady).local_port
peer = Peer(driver)
driver.stack.configure([account(targets=[peer.place + ";transport=udp"])])
driver.stack.perform(actions.Register("1001"))
contact = head(peer.receive(b"REGISTER"), b"Contact").decode()
driver.stack.close()
say("done", contact=contact)
""")
        return re.search(r";line=([0-9a-f]+);", result["contact"])[1]

    tokens = [token(seed) for seed in (b"a" * 16, b"a" * 16, b"b" * 16)]
    assert len(tokens[0]) == 16
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize(
    ("bind", "target", "words"),
    [
        ("127.0.0.1", "[::1]:5060;transport=udp", "IPv6"),
        ("::1", "127.0.0.1:5060;transport=udp", "is an IPv4 address, and the gateway is bound to an IPv6 one"),
        ("::1", "[::1]:5060;transport=udp", "was built without IPv6"),
    ],
)
def test_a_target_of_a_family_that_cannot_be_spoken_is_refused_by_name_and_the_next_one_serves(
    script, bind, target, words
):
    result = script(
        f"""
driver = Driver(bind={bind!r})
driver.wait(events.SipReady)
driver.stack.configure([account(targets=[{target!r}])])
"""
        """
driver.stack.perform(actions.Register("1001"))
failed = driver.wait(events.RegistrationFailed)
driver.stack.perform(actions.Invite("out", "1001", "22334455", 0))
over = driver.wait(events.CallOver)
import pjsua2
has_ipv6 = pjsua2.AccountConfig().mediaConfig.ipv6Use != pjsua2.PJSUA_IPV6_DISABLED
driver.stack.close()
say("done", reason=failed.reason, code=failed.code, on_wire=failed.on_wire, over=over.reason, has_ipv6=has_ipv6)
"""
    )
    assert not result["has_ipv6"], "a library with IPv6: show here that a call over ::1 works, in place of a refusal"
    assert words in result["reason"]
    assert (result["code"], result["on_wire"], result["over"]) == (0, False, result["reason"])


@pytest.mark.peer("openssl")
def test_a_server_that_never_ends_its_handshake_is_given_up(script, tmp_path):
    authority = Authority(tmp_path)
    result = script(
        STREAMS
        + f"""
from pathlib import Path
silent = socket.create_server(("127.0.0.1", 0))
driver = Driver(ca_file=Path({str(authority.root)!r}))
driver.wait(events.SipReady)
driver.stack.configure([account(targets=["{NAME}@127.0.0.1:%d;transport=tls" % silent.getsockname()[1]])])
"""
        + """
driver.stack.perform(actions.Invite("out", "1001", "112", 0))
driver.stack.perform(actions.HangUp("out"))
over = driver.wait(events.CallOver)
driver.stack.perform(actions.Register("1001"))
failed = driver.wait(events.RegistrationFailed)
driver.stack.close()
calls = sum(isinstance(event, events.CallOver) for event in driver.seen)
say("done", over=over.reason, reason=failed.reason, calls=calls)
"""
    )
    assert result["over"] == "hung up before it left"
    assert "did not finish a TLS handshake" in result["reason"]
    assert result["calls"] == 0
