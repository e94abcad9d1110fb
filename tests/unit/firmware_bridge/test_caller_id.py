"""What the telephone's display is told, byte by byte and as sound."""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.caller_id import (
    MAX_MESSAGE,
    Absence,
    Caller,
    CallerIdError,
    call_setup,
    message_waiting,
    plain,
    read_message,
)
from firmware_bridge.v23 import BIT_RATE, RATE, Modem, Receiver, demodulate, modulate

_BODY = bytes.fromhex("80 20 01 08 3033323430393032 07 08 4A4F484E20444F45 02 0A 38303035353531323132")
PUBLISHED = _BODY + b"\x84"
"""A message of 24 March 09:02 from JOHN DOE, 800-555-1212, as manufacturers' tutorials print it. They print 7D as its
checksum, which breaks the rule that they state; their shorter example (SDMF) keeps it."""

PUBLISHED_SDMF = bytes.fromhex("04 12 3039333031323234 36303935353531323132 51")


def test_a_published_message_is_made_byte_by_byte():
    caller = Caller("8005551212", "JOHN DOE", "03240902")
    assert call_setup(caller, call_type=False) == PUBLISHED


def test_the_checksum_keeps_the_rule_of_the_published_example():
    assert sum(PUBLISHED_SDMF) % 256 == sum(PUBLISHED) % 256 == 0


def test_a_published_message_is_read():
    assert read_message(PUBLISHED).caller == Caller("8005551212", "JOHN DOE", "03240902")


@pytest.mark.parametrize(
    ("caller", "shown"),
    [
        (Caller("22 33 44 55", "Bjørn Ærlig-Åsen"), Caller("22334455", "Bjorn AErlig-Asen")),
        (Caller(Absence.WITHHELD, Absence.WITHHELD), Caller(Absence.WITHHELD, Absence.WITHHELD)),
        (Caller(Absence.UNAVAILABLE), Caller(Absence.UNAVAILABLE)),
        (Caller("olga@example.net"), Caller(Absence.UNAVAILABLE)),
        (Caller("1" * 40, "x" * 40), Caller("1" * 20, "x" * 20)),
        (Caller("22334455", "文字"), Caller("22334455")),
        (Caller("22334455", None, "1122"), Caller("22334455")),
    ],
)
def test_what_is_shown_of_a_caller(caller, shown):
    assert read_message(call_setup(caller)).caller == shown


def test_waiting_messages_light_the_lamp_and_put_it_out():
    assert [read_message(message_waiting(waiting=on)).waiting for on in (True, False)] == [True, False]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"", "byte 1: the length"),
        (PUBLISHED[:-1], "byte 1: the length"),
        (PUBLISHED[:-1] + b"\x00", "byte 34: the checksum"),
        (bytes((0x99, 0, 0x67)), "byte 0: message type 0x99"),
        (bytes((0x80, 2, 2, 9, 0x73)), "byte 2: a parameter reaches beyond"),
        (bytes((0x80, 1, 2, 0x7D)), "byte 2: a parameter reaches beyond"),
    ],
)
def test_a_damaged_message_is_refused_at_its_byte(message, sentence):
    with pytest.raises(CallerIdError, match=sentence):
        read_message(message)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=10))
def test_any_caller_makes_a_message_that_is_read_and_fits_the_link(number, name, time):
    message = call_setup(Caller(number, name, time))
    assert len(message) <= MAX_MESSAGE
    read_message(message)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(message):
    try:
        read_message(message)
    except CallerIdError:
        return


@given(st.text(max_size=100))
def test_plain_text_is_printable_ascii(text):
    assert all(" " <= letter <= "~" for letter in plain(text))


# --- as sound --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modem", list(Modem))
@pytest.mark.parametrize("off_hook", [False, True])
def test_a_burst_is_understood(modem, off_hook):
    assert demodulate(modulate(PUBLISHED, off_hook=off_hook, modem=modem), modem=modem) == PUBLISHED


def test_a_burst_lasts_as_long_as_its_bits():
    bits = 300 + 180 + 10 * len(PUBLISHED) + 1
    assert len(modulate(PUBLISHED)) // 2 == round(bits * RATE / BIT_RATE)


def test_a_burst_is_found_in_silence_and_noise():
    chance = random.Random(1)
    noise = b"".join(chance.randrange(-60, 60).to_bytes(2, "little", signed=True) for _ in range(4000))
    burst = modulate(PUBLISHED)
    mixed = noise + b"".join(
        max(-32768, min(32767, int.from_bytes(burst[at : at + 2], "little", signed=True) + chance.randrange(-400, 400)))
        .to_bytes(2, "little", signed=True)
        for at in range(0, len(burst), 2)
    ) + noise  # fmt: skip
    assert demodulate(mixed) == PUBLISHED


@pytest.mark.parametrize("modem", list(Modem))
@pytest.mark.parametrize("off_hook", [False, True])
@pytest.mark.parametrize("piece", [1, 80, 5000])
def test_a_burst_is_understood_as_it_arrives(modem, off_hook, piece):
    receiver = Receiver(modem)
    sound = bytes(801 * 2) + modulate(PUBLISHED, off_hook=off_hook, modem=modem, level=-30) + bytes(200)
    samples = array("h", sound)
    found = b"".join(receiver.feed(samples[at : at + piece]) for at in range(0, len(samples), piece))
    assert found == PUBLISHED
    assert not receiver.carrier


def test_two_bursts_are_told_apart_by_the_silence_between_them():
    receiver = Receiver()
    first, second = (array("h", modulate(bytes([byte] * 4))) for byte in (0x80, 0x41))
    assert receiver.feed(first) == b"\x80" * 4
    assert receiver.carrier
    receiver.feed(array("h", bytes(400)))
    assert not receiver.carrier
    assert receiver.feed(second) == b"\x41" * 4


@given(st.lists(st.integers(-32768, 32767), max_size=2000))
def test_any_sound_is_heard_without_harm(samples):
    assert len(Receiver().feed(samples)) <= len(samples) / 66


def test_silence_and_half_a_burst_are_no_message():
    assert demodulate(bytes(8000)) == b""
    assert demodulate(b"") == b""
    half = demodulate(modulate(PUBLISHED)[:-2000])
    assert PUBLISHED.startswith(half)
    assert half != PUBLISHED


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=1, max_size=30))
def test_any_bytes_come_through(message):
    assert demodulate(modulate(message)) == message
