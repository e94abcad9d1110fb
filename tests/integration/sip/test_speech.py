"""What a call does to speech between two real endpoints: keys as telephone-events, jitter buffers by profile."""

import pytest

pytestmark = pytest.mark.e2e


def test_keys_travel_as_telephone_events_once_each_and_both_ways(pair):
    ola, kari = pair
    ola.send(call={"from": "1001", "to": "1002"})
    out, arrived = ola.wait("calling")["call"], kari.wait("invite")["call"]
    ola.wait("answered")
    kari.wait("answered")
    for key in "159#":
        ola.send(press={"call": out, "digit": key})
    assert [kari.wait("digit")["digit"] for _ in range(4)] == list("159#")
    kari.send(press={"call": arrived, "digit": "7"})
    assert ola.wait("digit")["digit"] == "7"
    ola.send(hangup=out)
    kari.wait("bye")
    assert [line["digit"] for line in kari.past if line["event"] == "digit"] == list("159#")


def test_a_machines_line_has_a_jitter_buffer_that_stands_still(script, endpoint):
    """The library adapts by itself from 0 up; the call's own stream can be told not to."""
    endpoint({"1002": {"tone_ms": 0}}).wait("ready")
    result = script("""
found = {}
for profile in (terms.LineProfile.PHONE, terms.LineProfile.FAX):
    driver = Driver()
    driver.stack.configure([account()])
    driver.stack.use_lines({0: profile})
    driver.stack.perform(actions.Invite("one", "1001", "1002", 0))
    driver.wait(events.CallAnswered)
    end = boot_ms() + 1500
    while boot_ms() < end:
        driver.stack.poll(50)
    state = driver.stack._calls._calls["one"].getStreamStat(0).jbuf
    found[profile.value] = [state.prefetch, state.minPrefetch, state.maxPrefetch, state.avgDelayMsec]
    driver.stack.close()
say("done", found=found)
""")
    assert result["found"]["fax"][:3] == [6, 6, 6], "60 ms, in the library's frames of 10 ms"
    assert result["found"]["phone"][1] < result["found"]["phone"][2]
