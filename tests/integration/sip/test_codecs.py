"""Which codecs a call offers, takes and ends up with; fax offers in mid-call; what a BYE says."""

import pytest

pytestmark = pytest.mark.e2e

TYPES = """
def types(message):
    # The payload types of the audio, and their names.
    names = dict(re.findall(rb"a=rtpmap:(\\d+) ([^/]+)/", message))
    numbers = re.search(rb"m=audio \\d+ RTP/AVP ([\\d ]+)", message)[1].split()
    return [names.get(number, number).decode() for number in numbers]

def offered(driver, peer, number="112", emergency=False, line=0):
    driver.stack.perform(actions.Invite(f"call-{number}", "1001", number, line, emergency))
    invite = peer.receive(b"INVITE")
    found = types(invite)
    peer.answer(invite, b"486 Busy Here")
    peer.receive(b"ACK")
    driver.wait(events.CallOver)
    return found

def arrive(driver, peer, far, call_id=b"in"):
    # A call of the far end, answered on line 0: the answer's payload types.
    peer.invite(call_id, sdp=far.sdp())
    invite = driver.wait(events.IncomingInvite)
    driver.stack.perform(actions.Answer(invite.call_id, 0))
    answer = peer.receive(b"SIP/2.0 200")
    far.hear(answer)
    contact = re.search(rb"<([^>]+)>", head(answer, b"Contact"))[1]
    peer.request(b"ACK " + contact, head(answer, b"From"), head(answer, b"To"), call_id)
    driver.wait(events.CallAnswered)
    return invite.call_id, types(answer)
"""


def test_an_account_offers_what_it_lists_in_its_order_and_nothing_else(script):
    result = script(
        TYPES
        + """
driver, peer = with_peer()
ready = driver.stack._engine.codecs
offers = []
for codecs in (["PCMA", "PCMU"], ["G722", "PCMU"], ["pcmu"], ["iLBC", "PCMA", "G729"], ["G722"]):
    driver.stack.configure([account(targets=[peer.place + ";transport=udp"], codecs=codecs)])
    offers.append(offered(driver, peer, str(len(offers))))
emergency = offered(driver, peer, "112", emergency=True)
driver.stack.use_lines({0: terms.LineProfile.FAX})
fax = offered(driver, peer, "113")
refused = [line for line in driver.logs if line[1].startswith("sip_codec")]
driver.stack.close()
say("done", ready=ready, offers=offers, emergency=emergency, fax=fax, refused=refused)
"""
    )
    keys = "telephone-event"
    assert result["ready"] == ["PCMA", "PCMU", "G722"]
    assert result["offers"] == [
        ["PCMA", "PCMU", keys], ["G722", "PCMU", keys], ["PCMU", keys], ["PCMA", keys], ["G722", "PCMA", keys]
    ]  # fmt: skip
    # A call for help has both forms of G.711, whatever is listed; a machine has nothing else.
    assert result["emergency"] == ["G722", "PCMA", "PCMU", keys]
    assert result["fax"] == ["PCMA", keys]
    having = "the library has PCMA, PCMU, G722"
    assert result["refused"] == [
        ["error", "sip_codec_refused", f"account 1001: codec iLBC; {having}"],
        ["error", "sip_codec_refused", f"account 1001: codec G729; {having}"],
        ["warning", "sip_codec_added", "account 1001: its list has no G.711, which every call may need"],
    ]


def test_two_accounts_of_one_adapter_keep_to_their_own_lists(script):
    result = script(
        TYPES
        + """
driver, peer = with_peer()
target = [peer.place + ";transport=udp"]
driver.stack.configure([
    account(targets=target, codecs=["PCMU"]), account("1002", targets=target, codecs=["G722", "PCMA"])
])
first = offered(driver, peer)
far = FarEnd(driver, b"9 G722/8000")
# G.722 is on, but for the other account.
peer.invite(b"in", sdp=far.sdp())
refused = peer.receive(b"SIP/2.0 4")
peer.invite(b"in2", sdp=far.sdp().replace(b"AVP 9", b"AVP 9 8 0"))
invite = driver.wait(events.IncomingInvite)
while invite.call_id == "in-1":
    invite = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Answer(invite.call_id, 0))
answer = peer.receive(b"SIP/2.0 200")
driver.stack.close()
say("done", first=first, refused=refused.split(b"\\r\\n")[0].decode(), answer=types(answer))
"""
    )
    assert result["first"] == ["PCMU", "telephone-event"]
    assert result["refused"] == "SIP/2.0 488 Not Acceptable Here"
    assert result["answer"] == ["PCMU"]


def test_a_fax_that_is_called_in_g722_gets_g711_by_another_offer_and_sound_both_ways(script):
    result = script(
        TYPES
        + """
driver, peer = with_peer(codecs=["G722", "PCMA"])
driver.stack.use_lines({0: terms.LineProfile.FAX})
far = FarEnd(driver, b"9 G722/8000")
call_id, answered = arrive(driver, peer, far)
offer = peer.receive(b"INVITE sip:x")
far.codec = b"8 PCMA/8000"
peer.answer(offer, b"200 OK", far.sdp(2))
peer.receive(b"ACK")
far.heard.clear()
far.send(60)
kinds = {packet[1] & 127 for packet in far.heard[-20:]}
driver.stack.perform(actions.HangUp(call_id))
stats = driver.wait(events.CallOver).stats
driver.stack.close()
say("done", answered=answered[0], offer=types(offer), kinds=sorted(kinds), codec=stats.codec, received=stats.rx_packets)
"""
    )
    assert (result["answered"], result["offer"]) == ("G722", ["PCMA", "telephone-event"])
    assert (result["kinds"], result["codec"], result["received"]) == ([8], "PCMA/8000", 60)


def test_a_machine_that_is_heard_in_a_call_gets_g711_too(script):
    result = script(
        TYPES
        + """
driver, peer = with_peer(codecs=["G722", "PCMA"])
far = FarEnd(driver, b"9 G722/8000")
call_id, answered = arrive(driver, peer, far)
quiet = peer.receive(b"INVITE sip:x", timeout_ms=300)
driver.stack.perform(actions.SpeakPlainly(call_id))
offer = peer.receive(b"INVITE sip:x")
driver.stack.close()
say("done", answered=answered[0], quiet=quiet, offer=types(offer))
"""
    )
    assert (result["answered"], result["quiet"]) == ("G722", None)
    assert result["offer"] == ["PCMA", "telephone-event"]


@pytest.mark.parametrize("media", ["m=image {} udptl t38", "m=audio 0 RTP/AVP 8\\r\\nm=image {} udptl t38"])
def test_a_fax_offer_gets_488_and_the_call_goes_on_in_g711(script, media):
    result = script(
        TYPES
        + f"""
driver, peer = with_peer()
far = call_far_end(driver, peer)
far.send(20)
fax = b"v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\n{media}\\r\\n".replace(
    b"{{}}", b"%d" % far.rtp.getsockname()[1]) + b"a=T38FaxVersion:0\\r\\n"
answer = again(peer, far, fax, 10)
far.heard.clear()
far.send(40)
kinds = sorted({{packet[1] & 127 for packet in far.heard}})
told = [line[:2] for line in driver.logs if "fax" in line[1]]
stats = end(driver)
say("done", answer=answer.split(b"\\r\\n")[0].decode(), kinds=kinds, heard=len(far.heard) >= 20, told=told,
    received=stats.rx_packets)
"""
    )
    assert result["answer"] == "SIP/2.0 488 Not Acceptable Here"
    assert (result["kinds"], result["heard"], result["received"]) == ([8], True, 60)
    assert result["told"] == [["info", "sip_fax_refused"]]


def test_a_bye_of_ours_says_how_the_call_sounded_where_the_operator_wants_that(script):
    result = script(
        TYPES
        + """
driver, peer = with_peer()
byes = []
for told in (False, True):
    driver.stack.tell_quality(wanted=told)
    far = call_far_end(driver, peer)
    far.send(50)
    far.send(50, skip=5)
    # The next look at the call comes after the last packet has.
    driver.seen[:] = [event for event in driver.seen if not isinstance(event, events.CallSampled)]
    driver.wait(events.CallSampled)
    driver.stack.perform(actions.HangUp("out"))
    bye = peer.receive(b"BYE")
    found = re.search(rb"X-RTP-Stat: ([^\\r]*)", bye)
    byes.append(found and found[1].decode())
    peer.answer(bye, b"200 OK")
    driver.wait(events.CallOver)
driver.stack.close()
say("done", byes=byes)
"""
    )
    before, after = result["byes"]
    assert before is None
    fields = dict(pair.split("=") for pair in after.split(";"))
    assert list(fields) == ["CS", "CD", "PS", "OS", "PR", "OR", "PL", "PD", "JI", "EN", "DE", "MOS"]
    assert (fields["PR"], fields["OR"], fields["PL"], fields["EN"]) == ("100", "16000", "5", "PCMA/8000")
    assert int(fields["PS"]) > 50


def test_g722_carries_speech_both_ways_over_the_narrow_bridge(endpoint):
    wide = {"codecs": ["G722", "PCMA"]}
    ola, kari = endpoint({"1001": {"tone_hz": 1004, **wide}}), endpoint({"1002": {"tone_hz": 1700, **wide}})
    ola.wait("ready"), kari.wait("ready")
    ola.send(call={"from": "1001", "to": "1002"})
    call = ola.wait("calling")["call"]
    ola.wait("answered"), kari.wait("answered")
    heard = ola.wait("heard")
    assert (heard["hz"], heard["level"]) == (1700, pytest.approx(-13, abs=1))
    assert kari.wait("heard")["hz"] == 1004
    ola.send(hangup=call)
    assert ola.wait("bye")["stats"]["codec"] == "G722/16000"
    assert kari.wait("bye")["stats"]["codec"] == "G722/16000"
