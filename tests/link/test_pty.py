"""The client and the simulated card over a real pseudo-terminal."""

import os

import pytest

from firmware_bridge import (
    Button,
    CardDown,
    CardUp,
    Digit,
    Flash,
    Hook,
    LampState,
    LineCard,
    MessageError,
    ToneProgram,
    ToneSegment,
)
from firmware_bridge.g711 import decode_alaw
from firmware_bridge.simulator.ear import which_tone
from firmware_bridge.tonemeter import level_dbm0

DIAL = ToneProgram(-10, (ToneSegment((425,), 0),))
UP = CardUp(lines=2, firmware="sim-1.0.0")


@pytest.fixture
def up(line_card, owner):
    assert owner.wait_event(UP)
    return line_card


def test_the_card_says_what_it_is(line_card, owner):
    assert owner.wait_event(UP)


def test_hook_digits_and_flash_arrive_in_order(up, pty_card, owner):
    phone = pty_card.phones[1]
    phone.off_hook()
    phone.dial("12*#", on_ms=40, gap_ms=40)
    phone.flash(100)
    phone.on_hook()
    assert owner.wait_event(Hook(1, off_hook=False))
    assert owner.events == [
        UP, Hook(1, off_hook=True), Digit(1, "1"), Digit(1, "2"), Digit(1, "*"), Digit(1, "#"), Flash(1, 100),
        Hook(1, off_hook=False),
    ]  # fmt: skip


def test_what_is_played_is_known_by_ear(up, pty_card):
    phone = pty_card.phones[0]
    tones = {
        "busy": ToneProgram(-10, (ToneSegment((425,), 500), ToneSegment((), 500))),
        "congestion": ToneProgram(-10, (ToneSegment((425,), 200), ToneSegment((), 200))),
    }
    phone.off_hook()
    up.tone(0, tones["congestion"])
    assert phone.wait_to_hear(lambda: which_tone(phone.recording(4000), tones) == "congestion", 20)
    up.tone(0, tones["busy"])
    assert phone.wait_to_hear(lambda: which_tone(phone.recording(4000), tones) == "busy", 20)
    assert not phone.wait_to_hear(lambda: which_tone(phone.recording(4000), tones) == "congestion", 0.3)


def test_pulses_are_digits_and_neither_recall_nor_hanging_up(up, pty_card, owner):
    phone = pty_card.phones[0]
    phone.off_hook()
    phone.dial_by_pulses("20", gap_ms=300)
    phone.dial("3")
    assert owner.wait_event(Digit(0, "3"), timeout=10)
    assert owner.events == [UP, Hook(0, off_hook=True), Digit(0, "2"), Digit(0, "0"), Digit(0, "3")]


def test_a_telephone_rings_shows_the_caller_and_stops_when_lifted(up, pty_card, owner):
    phone = pty_card.phones[0]
    up.ring(0, [1000, 4000], "+4722334455")
    assert phone.wait_for(lambda: phone.ringing, 10)
    assert phone.wait_for(lambda: phone.display == "+4722334455", 10)
    phone.off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    assert not phone.ringing


def test_ringing_stops_on_order(up, pty_card):
    phone = pty_card.phones[0]
    up.ring(0, [1000, 4000], "")
    assert phone.wait_for(lambda: phone.ringing, 10)
    up.stop_ring(0)
    assert phone.wait_for(lambda: not phone.ringing, 10)


def test_a_lifted_handset_hears_dial_tone_until_it_is_stopped(up, pty_card, owner):
    phone = pty_card.phones[0]
    phone.off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    up.tone(0, DIAL)
    assert phone.wait_for(lambda: phone.hears(425) > -10.2, 10)
    assert phone.hears(425) == pytest.approx(-10, abs=0.5)
    assert phone.tone == DIAL
    up.stop_tone(0)
    assert phone.wait_for(lambda: phone.hears(425) < -80, 10)
    assert phone.tone is None


def test_a_tone_with_a_duration_ends_by_itself(up, pty_card, owner):
    phone = pty_card.phones[0]
    phone.off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    up.tone(0, DIAL, 200)
    assert phone.wait_for(lambda: phone.tone is not None, 10)
    assert phone.wait_for(lambda: phone.tone is None, 10)


def test_speech_flows_both_ways_one_frame_for_each(up, pty_card, owner):
    phone = pty_card.phones[1]
    phone.off_hook()
    phone.speak(1000)
    owner.speak(600)
    up.open_audio(1)
    assert owner.wait(lambda: len(owner.audio.get(1, [])) >= 100)
    assert phone.wait_for(lambda: phone.hears(600) > -11, 10)
    up.close_audio(1)
    assert phone.wait_for(lambda: not phone.audio_open, 10)
    heard = b"".join(decode_alaw(frame) for frame in owner.audio[1][50:90])
    assert level_dbm0(heard, 1000) == pytest.approx(-10, abs=0.5)
    stats = up.stats()
    assert stats.crc_errors == 0
    received, sent = phone.frames
    assert sent >= 100
    # A machine that is too slow for a moment loses some, and counts them.
    assert stats.audio_in + stats.audio_lost <= sent
    assert stats.audio_out + stats.audio_dropped <= stats.audio_in + stats.audio_lost
    assert len(owner.audio[1]) - received <= 2 + stats.audio_dropped


def test_both_lines_speak_at_once(up, pty_card, owner):
    for line, hz in ((0, 700), (1, 1100)):
        pty_card.phones[line].off_hook()
        pty_card.phones[line].speak(hz)
        up.open_audio(line)
    assert owner.wait(lambda: min(len(owner.audio.get(line, [])) for line in (0, 1)) >= 60)
    for line, hz in ((0, 700), (1, 1100)):
        assert level_dbm0(b"".join(map(decode_alaw, owner.audio[line][20:60])), hz) > -11


def test_the_lamp_and_the_button_work(up, pty_card, owner):
    up.lamp(0, LampState.BLINK)
    assert pty_card.wait_for(lambda: pty_card.lamp(0) == "blink", 10)
    pty_card.press_button(7000)
    assert owner.wait_event(Button(7000))


def test_a_handset_already_lifted_is_reported_when_the_client_starts(pty_card, owner):
    pty_card.phones[0].off_hook()
    assert pty_card.phones[0].wait_for(lambda: pty_card.phones[0].is_off_hook, 10)
    client = LineCard(pty_card.path, on_event=owner.on_event, on_audio=owner.on_audio)
    client.start()
    try:
        assert owner.wait(lambda: owner.events)
        pty_card.phones[0].on_hook()
        assert owner.wait_event(Hook(0, off_hook=False))
        assert owner.events == [CardUp(2, "sim-1.0.0", off_hook=(0,)), Hook(0, off_hook=False)]
    finally:
        client.stop()


def test_after_a_restart_of_the_card_hook_is_read_again_and_orders_are_forgotten(up, pty_card, owner):
    phone = pty_card.phones[0]
    phone.off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    up.tone(0, DIAL)
    up.open_audio(0)
    assert phone.wait_for(lambda: phone.tone is not None and phone.audio_open, 10)
    pty_card.reset()
    assert owner.wait_event(CardUp(2, "sim-1.0.0", off_hook=(0,)))
    assert [type(event) for event in owner.events[2:]] == [CardDown, CardUp]
    assert "restarted" in owner.of(CardDown)[0].reason
    assert phone.tone is None
    assert not phone.audio_open


def test_pulling_the_cable_and_putting_it_back(up, pty_card, owner):
    pty_card.unplug()
    assert owner.wait(lambda: any(isinstance(event, CardDown) for event in owner.events))
    assert "is gone" in owner.of(CardDown)[0].reason
    pty_card.plug()
    assert owner.wait_event(UP, times=2)
    pty_card.phones[0].off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))


def test_a_card_that_is_switched_off_and_on_comes_back(up, pty_card, owner):
    pty_card.kill()
    assert owner.wait(lambda: any(isinstance(event, CardDown) for event in owner.events))
    pty_card.start()
    assert owner.wait_event(UP, times=2)


def test_a_missing_port_is_told_once_in_a_sentence(tmp_path, owner):
    path = tmp_path / "nothing"
    client = LineCard(str(path), on_event=owner.on_event, on_audio=owner.on_audio)
    client.start()
    try:
        assert owner.wait(lambda: len(owner.events) == 1)
        assert "nothing" in owner.of(CardDown)[0].reason
        client.ring(0, [1000, 4000], "")
        assert not owner.wait(lambda: len(owner.events) > 1, timeout=0.5)
        assert client.stats().commands_dropped == 1
    finally:
        client.stop()


def test_a_second_client_cannot_take_the_port(up, pty_card, owner):
    second = type(owner)()
    other = LineCard(pty_card.path, on_event=second.on_event, on_audio=second.on_audio)
    other.start()
    try:
        assert second.wait(lambda: bool(second.of(CardDown)))
    finally:
        other.stop()


def test_a_host_that_leaves_silences_the_card_at_once(up, pty_card):
    phone = pty_card.phones[0]
    # A farewell amid a change of rate may be garbled: then the lease silences the card.
    assert pty_card.wait_for(lambda: up.stats().rate == pty_card.rate == 1_000_000, 10)
    up.ring(0, [1000, 4000], "")
    assert phone.wait_for(lambda: phone.ringing, 10)
    up.stop()
    assert phone.wait_for(lambda: not phone.ringing, 10)
    assert pty_card.wait_for(lambda: not pty_card.connected, 10)


def test_a_port_without_a_card_is_told_after_three_seconds(owner):
    master, slave = os.openpty()
    client = LineCard(os.ttyname(slave), on_event=owner.on_event, on_audio=owner.on_audio)
    client.start()
    try:
        assert owner.wait(lambda: len(owner.events) == 1, timeout=6)
        assert owner.of(CardDown)[0].reason == "the port is open, but no card answers"
    finally:
        client.stop()
        os.close(master)
        os.close(slave)


def test_the_trace_tells_frames_but_never_digits(up, pty_card, owner):
    pty_card.phones[0].off_hook()
    pty_card.phones[0].dial("7", 40, 20)
    up.ring(1, [1000, 4000], "+4798765432")
    assert owner.wait_event(Digit(0, "7"))
    trace = "\n".join(up.trace())
    assert "Hello " in trace
    assert "EVT DigitEvent line=0" in trace
    assert "98765432" not in trace


def test_a_fault_in_the_owner_does_not_stop_the_card(pty_card, owner):
    def fails(frame):
        raise RuntimeError("owner")

    client = LineCard(pty_card.path, on_event=owner.on_event, on_audio=fails)
    client.start()
    try:
        assert owner.wait_event(UP)
        client.open_audio(0)
        phone = pty_card.phones[0]
        assert phone.wait_for(lambda: phone.frames[0] >= 5, 10)
        assert client.stats().callback_errors >= 5
    finally:
        client.stop()


def test_an_order_that_can_never_be_sent_is_refused_at_once(line_card):
    with pytest.raises(MessageError, match="line 9"):
        line_card.stop_ring(9)
    with pytest.raises(MessageError, match="cadence_ms"):
        line_card.ring(0, [70_000], "")
    with pytest.raises(MessageError, match="segments"):
        line_card.tone(0, ToneProgram(-10, (ToneSegment((425,), 100),) * 17))
