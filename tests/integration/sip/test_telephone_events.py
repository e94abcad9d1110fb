"""Keys as telephone-events (RFC 4733), packet by packet: what is lost on the way costs no key and makes none."""

import pytest

pytestmark = pytest.mark.e2e

EVENTS = """
import struct

media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
media.bind(("127.0.0.1", 0))
media.setblocking(False)
OFFER = SDP.replace(b"40900", b"%d" % media.getsockname()[1]).replace(b"RTP/AVP 8", b"RTP/AVP 8 101") + (
    b"a=rtpmap:101 telephone-event/8000\\r\\na=fmtp:101 0-16\\r\\n"
)
KEYS = "0123456789*#ABCD"
sequence = itertools.count(1)

driver, peer = with_peer()
driver.stack.perform(actions.Invite("out", "1001", "1002", 0))
invite = peer.receive(b"INVITE")
peer.answer(invite, b"200 OK", OFFER)
driver.wait(events.CallAnswered)
# Each side sends with the number that the other gave the event in its SDP (RFC 3264 §5.1).
THEIRS = int(re.search(rb"a=rtpmap:(\\d+) telephone-event/8000", invite)[1])
ours = ("127.0.0.1", int(re.search(rb"m=audio (\\d+)", invite)[1]))

def send(key, timestamp, durations, ends=0, lost=()):
    # One key: packets of growing duration, then so many with the end bit; the numbers in `lost` never leave.
    packets = [(duration, 0) for duration in durations] + [(durations[-1] + 160, 0x80)] * ends
    for at, (duration, end) in enumerate(packets):
        header = struct.pack("!BBHII", 0x80, THEIRS | (0x80 if at == 0 else 0), next(sequence), timestamp, 7)
        if at not in lost:
            media.sendto(header + struct.pack("!BBH", KEYS.index(key), end | 10, duration), ours)
        driver.stack.poll(20)

def keys():
    for _ in range(5):
        driver.stack.poll(50)
    return "".join(event.digit for event in driver.seen if isinstance(event, events.DtmfReceived))
"""


CASES = {
    "whole": ("send('5', stamp(), (160, 320, 480), 3)", "5"),
    "all ends lost": ("send('5', stamp(), (160, 320, 480)); send('6', stamp(), (160, 320), 3)", "56"),
    "the same key again after lost ends": ("send('5', stamp(), (160, 320)); send('5', stamp(), (160, 320))", "55"),
    "the beginning lost": ("send('5', stamp(), (160, 320, 480), 3, lost=(0,))", "5"),
    "only an end arrives": ("send('5', stamp(), (160,), 3, lost=(0, 1, 2))", "5"),
    "everything twice": ("send('5', stamp(), (160, 160, 320, 320), 6)", "5"),
    "one after another": ("[send(key, stamp(), (160,), 3) for key in '159*0#D']", "159*0#D"),
}
"""What arrives, and what is to be told of it."""


def test_each_key_of_the_far_end_is_told_once_whatever_is_lost(script):
    result = script(
        EVENTS
        + """
stamps = itertools.count(8000, 8000)
stamp = lambda: next(stamps)
told = {}
for case, sent in CASES.items():
    driver.seen.clear()
    exec(sent)
    told[case] = keys()
driver.stack.close()
say("done", told=told)
""".replace("CASES", repr({case: sent for case, (sent, _) in CASES.items()}))
    )
    assert result["told"] == {case: heard for case, (_, heard) in CASES.items()}


def test_our_keys_leave_with_a_beginning_and_three_ends_each(script):
    result = script(
        EVENTS
        + """
for key in "7#":
    driver.stack.perform(actions.SendDtmf("out", key))
found, ends, deadline = [], 0, boot_ms() + 10000
while ends < 3 and boot_ms() < deadline:
    driver.stack.poll(20)
    try:
        packet = media.recv(2000)
    except BlockingIOError:
        continue
    if packet[1] & 0x7F == 101:
        ends += packet[12:13] == bytes([KEYS.index("#")]) and packet[13] >= 0x80
        found.append([KEYS[packet[12]], bool(packet[1] & 0x80), bool(packet[13] & 0x80), packet[4:8].hex()])
driver.stack.close()
say("done", found=found)
"""
    )
    found = result["found"]
    order = [key for at, (key, *_) in enumerate(found) if at == 0 or found[at - 1][0] != key]
    assert order == ["7", "#"]
    for key in "7#":
        mine = [one for one in found if one[0] == key]
        assert [marker for _, marker, _, _ in mine].count(True) == 1, "the beginning, once"
        assert mine[0][1]
        assert sum(end for _, _, end, _ in mine) >= 3
        assert len({timestamp for *_, timestamp in mine}) == 1, "one event has one timestamp"
