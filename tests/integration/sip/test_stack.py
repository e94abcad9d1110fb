"""The stack itself, driven by a script in a process of its own: accounts, targets, slots, starts and stops."""

import json

import pytest

pytestmark = pytest.mark.e2e


def test_three_starts_and_stops_with_a_call_in_each(script, endpoint):
    endpoint({"1002": {}}).wait("ready")
    result = script("""
codecs = []
for _ in range(3):
    driver = Driver()
    driver.stack.configure([account()])
    driver.register()
    codecs.append(driver.call().stats.codec)
    driver.stack.close()
say("done", codecs=codecs)
""")
    assert result["codecs"] == ["PCMA/8000"] * 3


def test_stopping_in_the_middle_of_a_call_ends_it_once(script, endpoint):
    kari = endpoint({"1002": {}})
    kari.wait("ready")
    result = script("""
driver = Driver()
driver.stack.configure([account()])
driver.stack.perform(actions.Invite("one", "1001", "1002", 0))
driver.wait(events.CallAnswered)
driver.stack.close()
driver.stack.close()
say("done", over=sum(isinstance(event, events.CallOver) for event in driver.seen))
""")
    assert result["over"] == 1
    kari.wait("bye", remote=True)


def test_an_account_more_than_the_library_carries_is_refused_by_name(script):
    result = script("""
from agent.gateway.daemon.sip.capacity import probe
count = probe()
driver = Driver()
driver.stack.carry(count)
names = [str(number) for number in range(1001, 1001 + count + 1)]
driver.stack.configure([account(name) for name in names])
refused = driver.wait(events.RegistrationFailed)
driver.register(names[-2])
driver.stack.close()
say("done", count=count, refused=refused.account == names[-1], on_wire=refused.on_wire, reason=refused.reason)
""")
    # Every account that the trial promised was made: one more would have ended this process.
    assert result["count"] >= 1
    assert (result["refused"], result["on_wire"]) == (True, False)
    assert f"at most {result['count']} registrations" in result["reason"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("sip.example.no:5060;transport=udp", "resolve it first"),
        ("127.0.0.1:5060;transport=sctp", "speaks udp"),
        ("127.0.0.1:70000;transport=udp", "port 70000"),
        ("127.0.0.1:5060 evil", "not of the form"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_with_its_name(script, target, words):
    result = script("""
driver = Driver()
driver.stack.configure([account()])
refused = driver.wait(events.RegistrationFailed)
driver.stack.perform(actions.Invite("one", "1001", "112", 0))
over = driver.wait(events.CallOver)
driver.stack.close()
say("done", reason=refused.reason, code=over.code)
""", target=target)  # fmt: skip
    assert words in result["reason"]


def test_the_next_target_takes_over_and_the_first_is_left_in_order(script, registrar):
    result = script("""
driver = Driver()
driver.stack.configure([account(targets=["127.0.0.1:9;transport=udp", TARGET])])
driver.stack.perform(actions.Register("1001", 0))
failed = driver.wait(events.RegistrationFailed)
driver.register(target=1)
driver.register(target=1)
driver.stack.perform(actions.Unregister("1001"))
driver.wait(events.Unregistered)
driver.stack.perform(actions.Unregister("1001"))
driver.wait(events.Unregistered)
driver.stack.close()
say("done", on_wire=failed.on_wire, code=failed.code)
""")
    assert (result["on_wire"], result["code"]) == (False, 408)
    assert registrar.bindings == {}


def test_a_changed_password_is_used_at_the_next_registration(script):
    script("""
driver = Driver()
driver.stack.configure([account(password="wrong")])
driver.stack.perform(actions.Register("1001"))
assert driver.wait(events.RegistrationFailed).code == 401
driver.stack.configure([account()])
driver.register()
driver.stack.configure([account(password="wrong again")])
driver.stack.perform(actions.Register("1001"))
assert driver.wait(events.RegistrationFailed).code == 401
driver.stack.close()
say("done")
""")


def test_retry_after_is_passed_on(script, registrar):
    registrar.retry_after = 77
    result = script("""
driver = Driver()
driver.stack.configure([account()])
driver.stack.perform(actions.Register("1001"))
failed = driver.wait(events.RegistrationFailed)
driver.stack.close()
say("done", code=failed.code, after=failed.retry_after_s, on_wire=failed.on_wire)
""")
    assert (result["code"], result["after"], result["on_wire"]) == (503, 77, True)


def test_a_silent_target_holds_a_call_slot_for_seconds_and_not_for_half_a_minute(script):
    result = script("""
driver = Driver()
driver.stack.configure([account(targets=["127.0.0.1:9;transport=udp"])])
slots = [driver.stack.free_slots()]
for number in range(5):
    driver.stack.perform(actions.Invite(str(number), "1001", "1002", 0))
fifth = driver.wait(events.CallOver)
for number in range(4):
    driver.stack.perform(actions.HangUp(str(number)))
    driver.wait(events.CallOver)
slots.append(driver.stack.free_slots())
began = boot_ms()
while driver.stack.free_slots() < 4 and boot_ms() - began < 20000:
    driver.stack.poll(200)
slots.append(driver.stack.free_slots())
driver.stack.close()
say("done", slots=slots, fifth=[fifth.call_id, fifth.on_wire], took=boot_ms() - began)
""")
    assert result["slots"] == [4, 0, 4]
    assert result["fifth"] == ["4", False]
    assert result["took"] < 12_000


def test_a_target_that_is_found_but_does_not_ring_shows_that_it_lives(script):
    result = script("""
driver = Driver()
driver.stack.configure([account()])
driver.stack.perform(actions.Invite("out", "1001", "slow", 0))
trying = driver.wait(events.Progress)
driver.stack.perform(actions.HangUp("out"))
over = driver.wait(events.CallOver)
others = [event.code for event in driver.seen if isinstance(event, events.Progress)]
driver.stack.close()
say("done", trying=[trying.call_id, trying.code, trying.early_media], over=over.code, others=others)
""")
    assert result == result | {"trying": ["out", 100, False], "over": 487, "others": []}


def test_a_removed_account_goes_when_its_call_has_ended(script, endpoint, registrar):
    endpoint({"1002": {}}).wait("ready")
    script("""
driver = Driver()
driver.stack.configure([account()])
driver.register()
driver.stack.perform(actions.Invite("one", "1001", "1002", 0))
driver.wait(events.CallAnswered)
driver.stack.configure([account(user="1003", auth_user="1003")])
for _ in range(10):
    driver.stack.poll(50)
assert not any(isinstance(event, events.CallOver) for event in driver.seen)
driver.stack.perform(actions.HangUp("one"))
driver.wait(events.CallOver)
for _ in range(20):
    driver.stack.poll(50)
driver.register()
driver.stack.close()
say("done")
""")


def test_wake_from_another_thread_ends_a_long_poll(script):
    result = script("""
import threading
driver = Driver()
driver.stack.poll(50)
driver.stack.poll(50)
began = boot_ms()
threading.Timer(0.1, driver.stack.wake).start()
driver.stack.poll(5000)
took = boot_ms() - began
driver.stack.close()
say("done", took=took)
""")
    assert 50 <= result["took"] < 1000


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twenty_lives_and_two_hundred_calls_do_not_grow(script, endpoint):
    endpoint({"1002": {"answer_ms": 0}}).wait("ready")
    result = script("""
lives = []
for _ in range(20):
    driver = Driver()
    driver.stack.configure([account()])
    driver.register()
    driver.call()
    driver.stack.close()
    lives.append(usage())
driver = Driver()
driver.stack.configure([account()])
driver.register()
calls = []
for number in range(200):
    driver.call()
    # Sockets come back half a second after a call, 64 is all there are: no telephone dials faster than this.
    rest = boot_ms() + 40
    while boot_ms() < rest:
        driver.stack.poll(10)
    calls.append(usage())
driver.stack.close()
say("done", lives=lives, calls=calls)
""", timeout=380)  # fmt: skip
    for counts in (result["lives"], result["calls"]):
        early, late = counts[len(counts) // 4], counts[-1]
        assert late[0] <= early[0] + 1, json.dumps(counts)
        assert late[1] <= early[1] + 3000, json.dumps(counts)


def test_an_invite_says_what_was_dialled_however_the_operator_writes_it(script):
    result = script("""
driver, peer = with_peer()
driver.stack.perform(actions.Register("1001"))
register = peer.receive(b"REGISTER")
contact = re.search(rb"<([^>]+)>", head(register, b"Contact"))[1]
arrived = []
for at, (uri, to, more) in enumerate((
    (contact, b"<sip:+4722000001@x>", b""),
    (contact, b"<sip:+4790000000@x>", b"P-Called-Party-ID: <sip:+4722000002@x>\\r\\n"),
    (re.sub(rb"sip:[^@]+@", b"sip:+4722000003@", contact), b"<tel:+4790000000>", b""),
    (b"sip:+4722000004@127.0.0.1:%d" % driver.port, b"<sip:+4722000004@x>", b""),
)):
    peer.request(b"INVITE " + uri, b"<sip:+4799999999@x>;tag=s", to, b"call%d" % at, more, SDP)
    invite = driver.wait(events.IncomingInvite)
    arrived.append([invite.called, invite.called_party, invite.addressed, invite.bound])
    driver.stack.perform(actions.Reject(invite.call_id, 480))
    driver.wait(events.CallOver)
driver.stack.close()
say("done", arrived=arrived)
""")
    assert result["arrived"] == [
        ["", "", "+4722000001", True],
        ["", "+4722000002", "+4790000000", True],
        ["+4722000003", "", "+4790000000", True],
        ["+4722000004", "", "+4722000004", False],
    ]
