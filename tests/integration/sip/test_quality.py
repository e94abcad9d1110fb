"""The figures of a running call, and the alarm for a dead direction, from real RTP and RTCP of a far end by hand."""

import pytest

pytestmark = pytest.mark.e2e


def test_a_call_is_looked_at_once_a_second_and_both_directions_are_told(script):
    result = script(
        """
driver, peer = with_peer()
far = call_far_end(driver, peer)
far.send(60)
far.send(100, skip=40)
far.report(lost=10)
far.send(110)
figures = samples(driver, 5)
far.send(60)
stats = end(driver)
idle = [event for event in driver.seen if isinstance(event, events.CallSampled)]
say("done", last=[figures[-1].heard.loss_permille, figures[-1].sent.loss_permille > 0, figures[-1].sent.jitter_ms],
    first=figures[0].heard, received=stats.rx_packets, lost=[stats.rx_lost, stats.tx_lost],
    jitter=stats.tx_jitter_ms, worst=stats.worst.way, mos=[stats.heard_mos_centi < 440, 0 < stats.sent_mos_centi < 440],
    one_way=stats.one_way, late=len(idle))
"""
    )
    assert result["first"] is None
    assert (result["received"], result["lost"]) == (330, [40, 10])
    # 40 of 370, and what the far end tells: 80 units of 1/8000 s are 10 ms.
    assert 100 <= result["last"][0] <= 180
    assert result["last"][1:] == [True, 10]
    assert (result["jitter"], result["worst"], result["mos"]) == (10, "heard", [True, True])
    assert result["one_way"] is None


def test_nothing_heard_is_told_with_the_third_second_and_comfort_noise_ends_it(script):
    result = script(
        """
driver, peer = with_peer()
far = call_far_end(driver, peer)
alarm = driver.wait(events.OneWayAudio)
waited = boot_ms() - alarm.since_ms
looks = sum(isinstance(event, events.CallSampled) for event in driver.seen)
driver.seen.clear()
far.send(1, kind=13, payload=b"\\x40")
samples(driver, 2)
over = alarms(driver)
stats = end(driver)
say("done", told=alarm.way, waited=waited >= 2500, looks=looks, over=over,
    stats=[stats.one_way, stats.one_way_ms >= 3000, stats.rx_packets])
"""
    )
    # At the answer, and after one, two and three seconds, to which a first look that came late makes no difference.
    assert (result["told"], result["waited"], result["looks"] <= 4) == ("heard", True, True)
    assert (result["over"], result["stats"]) == ([None], ["heard", True, 1])


def test_a_held_call_gives_no_alarm_and_the_figures_outlive_a_re_invite(script):
    result = script(
        """
driver, peer = with_peer()
far = call_far_end(driver, peer)
far.send(60)
held = again(peer, far, far.sdp(2, b"sendonly"), 10)
samples(driver, 6)
silent = alarms(driver)
far.rtp.close()
far.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
far.rtp.bind(("127.0.0.1", 0))
far.rtp.setblocking(False)
taken_back = again(peer, far, far.sdp(3), 11)
far.send(60)
stats = end(driver)
say("done", held=held.split(b"\\r\\n")[0].decode(), silent=silent, back=taken_back.split(b"\\r\\n")[0].decode(),
    received=stats.rx_packets, one_way=stats.one_way)
"""
    )
    assert (result["held"], result["back"]) == ("SIP/2.0 200 OK", "SIP/2.0 200 OK")
    assert (result["silent"], result["received"], result["one_way"]) == ([], 120, None)


def test_a_far_end_that_reports_nothing_of_us_hears_nothing(script):
    result = script(
        """
def speak_until_alarm():
    # A poll may end early: so many packets are no time.
    for _ in range(40):
        far.send(20)
        if found := alarms(driver):
            return found

driver, peer = with_peer()
far = call_far_end(driver, peer)
far.send(130)
before = alarms(driver)
far.empty_report()
told = speak_until_alarm()
far.report(lost=0)
over = speak_until_alarm()
end(driver)
say("done", before=before, told=told, over=over)
"""
    )
    assert (result["before"], result["told"], result["over"]) == ([], ["sent"], [None])
