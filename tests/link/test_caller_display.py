"""Callers on the two wires of a card behind a pty, the simulated one and the C device alike."""

from __future__ import annotations

import pytest

from firmware_bridge import Absence, Caller, CardUp, CidPlacement, CidStandard, Digit, Hook, call_setup, dtmf
from firmware_bridge.v23 import Modem, demodulate

RING = (1000, 4000)
KARI = Caller("22334455", "Kari Nordmann", "11291830")
PUBLISHED = bytes.fromhex("80 20 01 08 3033323430393032 07 08 4A4F484E20444F45 02 0A 38303035353531323132 84")


@pytest.fixture
def up(line_card, owner):
    assert owner.wait_event(CardUp(lines=2, firmware="sim-1.0.0"))
    return line_card


@pytest.fixture
def phone(pty_card):
    return pty_card.phones[0]


def test_a_published_message_is_demodulated_from_the_wires_behind_the_first_ring(up, phone):
    up.present(0, CidStandard.ETSI_FSK, CidPlacement.AFTER_FIRST_RING, PUBLISHED)
    up.ring(0, RING)
    assert phone.wait_for(lambda: phone.ringing, 10)
    assert phone.shows is None
    assert phone.wait_to_hear(lambda: phone.shows is not None, 15)
    assert phone.shows == Caller("8005551212", "JOHN DOE", "03240902")
    assert demodulate(phone.wires()) == PUBLISHED
    assert phone.ringing


@pytest.mark.parametrize(
    ("standard", "modem"), [(CidStandard.ETSI_FSK, Modem.V23), (CidStandard.BELLCORE_FSK, Modem.BELL_202)]
)
def test_before_the_ring_and_by_either_modem(up, phone, standard, modem):
    up.present(0, standard, CidPlacement.BEFORE_RING, call_setup(KARI))
    up.ring(0, RING)
    assert phone.wait_to_hear(lambda: phone.shows == KARI, 15)
    assert demodulate(phone.wires(), modem=modem) == call_setup(KARI)


@pytest.mark.parametrize("caller", [Caller("22334455"), Caller(Absence.WITHHELD)])
def test_by_keys_while_the_wires_have_changed_places(up, phone, caller):
    up.reverse(0, reversed_=True)
    up.present(0, CidStandard.DTMF, CidPlacement.BEFORE_RING, dtmf(caller).encode())
    up.ring(0, RING)
    assert phone.wait_to_hear(lambda: phone.shows == caller, 15)
    assert phone.reversed_wires
    up.reverse(0, reversed_=False)
    assert phone.wait_for(lambda: not phone.reversed_wires, 10)


def test_a_card_shows_the_bare_number_of_an_order_to_ring_by_itself(up, phone):
    up.ring(0, RING, "22334455")
    assert phone.wait_to_hear(lambda: phone.display == "22334455", 15)


def test_in_a_conversation_the_telephone_answers_and_shows_who_waits(up, phone, owner):
    phone.off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    up.open_audio(0)
    phone.speak(600)
    assert owner.wait(lambda: len(owner.audio.get(0, ())) > 30)
    up.present(0, CidStandard.ETSI_FSK, CidPlacement.NOW, call_setup(KARI))
    assert phone.wait_to_hear(lambda: phone.shows == KARI, 15)
    assert not owner.of(Digit), "the telephone's answer is nobody's key"


def test_a_telephone_that_does_not_answer_is_left_in_peace(up, phone, owner):
    phone.show_in_calls(able=False)
    phone.off_hook()
    assert owner.wait_event(Hook(0, off_hook=True))
    up.present(0, CidStandard.ETSI_FSK, CidPlacement.NOW, call_setup(KARI))
    phone.pause(800)
    phone.dial("5")
    assert owner.wait_event(Digit(0, "5"))
    assert phone.shows is None


def test_the_lamp_for_messages(up, phone):
    up.messages(0, waiting=True)
    assert phone.wait_to_hear(lambda: phone.message_lamp, 15)
    up.messages(0, waiting=False)
    assert phone.wait_to_hear(lambda: not phone.message_lamp, 15)
