"""What can happen to a serial port: each recovers by itself, says what happened, and counts it."""

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firmware_bridge import CardDown, CardUp, Digit, Hook, HostLease, LineCard
from firmware_bridge.simulator import ROUGH, Mischief
from firmware_bridge.vocabulary import Capability

ROOT = Path(__file__).parents[2]
HOST = """
import sys, threading
from firmware_bridge import CardUp, HostLease, LeaseAction, LineCard, ToneProgram, ToneSegment
up = threading.Event()
card = LineCard(sys.argv[1], on_event=lambda event: isinstance(event, CardUp) and up.set(),
                on_audio=lambda frame: frame.alaw, lease=HostLease(int(sys.argv[2]), LeaseAction(int(sys.argv[3]))))
card.start()
up.wait()
card.ring(0, [1000, 4000], "")
card.tone(1, ToneProgram(-10, (ToneSegment((425,), 0),)))
card.open_audio(1)
print("up", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def up(line_card, owner):
    assert owner.wait(lambda: bool(owner.events))
    assert isinstance(owner.events[0], CardUp)
    return line_card


def settle(client, card, rate=1_000_000):
    assert card.wait_for(lambda: client.stats().rate == card.rate == rate, 10)


def test_the_port_is_opened_slowly_and_raised_to_the_wanted_rate(up, pty_card):
    settle(up, pty_card)
    assert up.stats().rate_fallbacks == 0


def test_two_megabaud_where_wanted(pty_card, owner):
    client = LineCard(pty_card.path, on_event=owner.on_event, on_audio=owner.on_audio, baud=2_000_000)
    client.start()
    try:
        settle(client, pty_card, 2_000_000)
    finally:
        client.stop()


def test_a_card_that_cannot_switch_is_left_at_its_rate_and_not_asked_for_lamps(new_card, owner):
    from firmware_bridge import LampState

    with new_card(lines=1, capabilities=Capability.DTMF_DECODER) as card:
        client = LineCard(card.path, on_event=owner.on_event, on_audio=owner.on_audio)
        client.start()
        try:
            assert owner.wait(lambda: bool(owner.events))
            assert client.capabilities == Capability.DTMF_DECODER
            client.lamp(0, LampState.ON)
            client.ring(0, [1000, 4000], "+4722334455")
            assert card.phones[0].wait_for(lambda: card.phones[0].ringing, 10)
            assert card.phones[0].display == ""
            assert card.lamp(0) == "off"
            assert client.stats().rate == 115_200
        finally:
            client.stop()


def test_a_second_opener_is_told_and_gets_the_port_when_the_first_leaves(up, pty_card, owner):
    second = type(owner)()
    other = LineCard(pty_card.path, on_event=second.on_event, on_audio=second.on_audio)
    other.start()
    try:
        assert second.wait(lambda: bool(second.of(CardDown)))
        assert second.of(CardDown)[0].reason.endswith("another program has it open")
        assert other.stats().open_failures >= 1
        up.stop()
        assert second.wait(lambda: bool(second.of(CardUp)))
    finally:
        other.stop()


def test_a_reader_that_steals_bytes_costs_repeats_but_no_digit(up, pty_card, owner):
    settle(up, pty_card)
    thief = os.open(Path(pty_card.path).readlink(), os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    stolen = 0
    try:
        phone = pty_card.phones[0]
        phone.off_hook()
        assert owner.wait_event(Hook(0, off_hook=True))
        phone.dial("1234567890", 40, 20)
        end = time.monotonic() + 5.0
        # A few bytes at a time: so many that no frame gets through for long would rightly end the session.
        while len(owner.of(Digit)) < 10 and stolen < 12 and time.monotonic() < end:
            select.select([thief], [], [], 0.1)
            with contextlib.suppress(BlockingIOError):
                stolen += len(os.read(thief, 2))
    finally:
        os.close(thief)
    assert stolen > 0
    assert owner.wait(lambda: len(owner.of(Digit)) == 10)
    assert "".join(digit.digit for digit in owner.of(Digit)) == "1234567890"
    stats = up.stats()
    assert stats.crc_errors + stats.cobs_errors + stats.sequence_gaps + stats.card.retransmissions > 0


@pytest.mark.parametrize(
    "noise",
    [random.Random(1).randbytes(3000), b"\x55" * 3000, b"\0" * 500, b"U-Boot 2024.01\r\n=> ", b"\x05\x11\x22"],
    ids=["random", "endless", "zeros", "bootloader", "half-frame"],
)
def test_noise_from_the_card_is_counted_and_survived(up, pty_card, owner, noise):
    settle(up, pty_card)
    before = up.stats()
    pty_card.babble(noise)
    pty_card.phones[0].off_hook()
    pty_card.phones[0].dial("7", 40, 20)
    assert owner.wait_event(Digit(0, "7"))
    assert not owner.of(CardDown)
    after = up.stats()
    damaged = (after.crc_errors + after.cobs_errors + after.overruns) - (
        before.crc_errors + before.cobs_errors + before.overruns
    )
    assert damaged >= 1 or not noise.strip(b"\0")


def test_noise_at_open_does_not_hinder_the_handshake(new_card, owner):
    with new_card(lines=1) as card:
        card.unkind(Mischief(greeting=200), seed=3)
        client = LineCard(card.path, on_event=owner.on_event, on_audio=owner.on_audio)
        client.start()
        try:
            assert owner.wait(lambda: bool(owner.of(CardUp)))
            settle(client, card)
        finally:
            client.stop()


def test_pulling_the_cable_is_told_counted_and_mended(up, pty_card, owner):
    for times in (1, 2):
        pty_card.unplug()
        assert owner.wait(lambda times=times: len(owner.of(CardDown)) == times)
        assert "is gone" in owner.of(CardDown)[-1].reason
        pty_card.plug()
        assert owner.wait(lambda times=times: len(owner.of(CardUp)) == times + 1)
    settle(up, pty_card)
    assert up.stats().port_losses == 2
    assert up.stats().sessions == 3


def test_a_lost_session_leaves_its_last_frames(pty_card, owner):
    dumps = []
    client = LineCard(
        pty_card.path, on_event=owner.on_event, on_audio=owner.on_audio,
        on_trace=lambda reason, lines: dumps.append((reason, lines)),
    )  # fmt: skip
    client.start()
    try:
        settle(client, pty_card)
        pty_card.reset()
        assert owner.wait(lambda: len(owner.of(CardUp)) == 2)
        ((reason, lines),) = dumps
        assert reason == owner.of(CardDown)[0].reason == "the card restarted (watchdog)"
        assert any("damaged" in line for line in lines)
    finally:
        client.stop()
    assert len(dumps) == 1


def test_an_edge_carries_the_time_at_which_it_happened(up, pty_card, owner):
    settle(up, pty_card)
    pty_card.phones[0].off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    (entry,) = [entry for entry in pty_card.transcript if entry.what == "off-hook"]
    assert -5 <= entry.at_ms - owner.of(Hook)[0].at_ms <= 40, "a contact is believed when it has stopped bouncing"


@pytest.mark.parametrize(("action", "after"), [(0, None), (1, "reorder")])
def test_a_killed_host_leaves_an_idle_card_after_its_lease(new_card, action, after):
    with new_card(lines=2) as card:
        card.phones[1].off_hook()
        command = [sys.executable, "-c", HOST, card.path, "800", str(action)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as host:
            assert host.stdout.readline() == "up\n"
            ringing, talking = card.phones
            assert ringing.wait_for(lambda: ringing.ringing and talking.audio_open and talking.tone is not None, 10)
            steady = talking.tone
            host.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            assert ringing.wait_for(lambda: not ringing.ringing, 10)
            silent_after = time.monotonic() - killed
            assert card.wait_for(lambda: not talking.audio_open and talking.tone != steady, 10)
            assert (talking.tone is None) is (after is None)
            assert 0.4 < silent_after < 2.0
            assert card.rate == 115_200
            assert any("nothing was heard for 800 ms" in entry.what for entry in card.transcript)


def test_a_host_that_is_killed_and_comes_back_at_once_takes_over(new_card, owner):
    with new_card(lines=2) as card:
        command = [sys.executable, "-c", HOST, card.path, "5000", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as host:
            assert host.stdout.readline() == "up\n"
            assert card.phones[0].wait_for(lambda: card.phones[0].ringing, 10)
            host.send_signal(signal.SIGKILL)
        client = LineCard(card.path, on_event=owner.on_event, on_audio=owner.on_audio, lease=HostLease(1000))
        client.start()
        try:
            assert owner.wait(lambda: bool(owner.of(CardUp)), 10)
            assert card.phones[0].wait_for(lambda: not card.phones[0].ringing, 10)
            settle(client, card)
        finally:
            client.stop()


def dialled(client, owner, phone, tries) -> str:
    """What arrives of a number that is dialled while speech flows, until it is whole or the session ends."""
    assert owner.wait(lambda: len(owner.of(CardUp)) > tries, 20)
    before, lost = len(owner.of(Digit)), len(owner.of(CardDown))
    client.open_audio(0)
    phone.on_hook()
    phone.off_hook()
    phone.dial("22334455", 40, 40)
    owner.wait(lambda: len(owner.of(Digit)) - before >= 8 or len(owner.of(CardDown)) > lost, 20)
    return "".join(digit.digit for digit in owner.of(Digit)[before:])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_number_is_dialled_over_a_rough_wire(new_card, owner, seed):
    with new_card(lines=1) as card:
        card.unkind(Mischief(**{**{name: getattr(ROUGH, name) for name in ROUGH.__slots__}, "reset": 0.0}), seed)
        client = LineCard(card.path, on_event=owner.on_event, on_audio=owner.on_audio)
        client.start()
        try:
            phone, tries = card.phones[0], 0
            while dialled(client, owner, phone, tries) != "22334455":
                # Only with its session may a digit be lost, and on a busy machine a session may be.
                tries += 1
                assert tries < 6
                assert len(owner.of(CardDown)) >= tries
            assert sum(card.mischief_done.values()) > 0
        finally:
            client.stop()
