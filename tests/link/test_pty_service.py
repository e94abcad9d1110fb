"""Line test, lamps and firmware by the client, over a real pseudo-terminal and over a bad wire."""

from __future__ import annotations

import pytest

from firmware_bridge import Capability, CardUp, LampState, LineCard, LineTest, LineTested, Phase, Progress, parse_image
from firmware_bridge.simulator import Maker, Mischief, PtyCard
from firmware_bridge.vocabulary import LineTestStatus

IMAGE = parse_image(Maker().image(bytes(range(256)) * 40, "1.1.0"))
BAD_WIRE = Mischief(loss=0.02, repeat=0.02, cut=0.01, flip=0.0002, noise=0.02, delay_ms=1, jitter_ms=5)


@pytest.fixture
def service(tmp_path, owner):
    with PtyCard(lines=2, link_path=tmp_path / "card", trial_ms=15_000) as card:
        client = LineCard(card.path, on_event=owner.on_event, on_audio=owner.on_audio)
        client.start()
        try:
            assert owner.wait(lambda: any(isinstance(one, CardUp) for one in owner.events))
            yield card, client
        finally:
            client.stop()


def phases(owner):
    return [one.phase for one in owner.of(Progress)]


def over(owner, timeout=40.0):
    ends = {Phase.DONE, Phase.ABORTED, Phase.FAILED, Phase.REFUSED}
    assert owner.wait(lambda: any(isinstance(one, Progress) and one.phase in ends for one in owner.events), timeout)
    return owner.of(Progress)[-1]


def test_a_test_of_a_line_comes_back_with_its_values(service, owner):
    _, client = service
    assert Capability.LINE_TEST in client.capabilities
    client.start_line_test(1, LineTest.RINGER_LOAD)
    assert owner.wait(lambda: any(isinstance(one, LineTested) for one in owner.events))
    [tested] = owner.of(LineTested)
    assert (tested.line, tested.test, tested.status) == (1, LineTest.RINGER_LOAD, LineTestStatus.OK)
    assert tested.values[0].value == pytest.approx(1000, rel=0.02)


def test_a_refused_test_is_told_like_an_ended_one(service, owner):
    card, client = service
    phone = card.phones[0]
    phone.off_hook()
    assert phone.wait_for(lambda: phone.is_off_hook, 10)
    client.start_line_test(0, LineTest.RINGER_LOAD)
    assert owner.wait(lambda: any(isinstance(one, LineTested) for one in owner.events))
    assert owner.of(LineTested)[0].status is LineTestStatus.LINE_IN_USE


@pytest.mark.parametrize(
    ("state", "colour", "pattern"),
    [
        (LampState.ON, "green", "on"), (LampState.BLINK, "green", "blink"), (LampState.IN_USE, "green", "flash"),
        (LampState.FAULT, "red", "on"), (LampState.ATTENTION, "amber", "on"), (LampState.UPDATING, "amber", "blink"),
    ],
)  # fmt: skip
def test_lamps_show_their_state_in_colour(service, state, colour, pattern):
    card, client = service
    client.adapter_lamp(state)
    assert card.wait_for(lambda: (card.lamp_colour(8), card.lamp(8)) == (colour, pattern), 10)
    client.lamp(1, state)
    assert card.wait_for(lambda: (card.lamp_colour(1), card.lamp(1)) == (colour, pattern), 10)


def test_firmware_is_written_over_a_bad_wire(service, owner):
    card, client = service
    card.unkind(BAD_WIRE, seed=3)
    client.update(IMAGE, "u")
    assert over(owner).phase is Phase.DONE
    assert card.firmware == "sim-1.1.0"
    assert sum(card.mischief_done.values()) > 0


def test_firmware_is_not_begun_with_a_lifted_handset(service, owner):
    card, client = service
    card.phones[0].off_hook()
    assert owner.wait(lambda: len(owner.events) > 1)
    client.update(IMAGE, "u")
    assert (over(owner).phase, over(owner).reason) == (Phase.REFUSED, "refused_in_use")


def test_the_card_is_reset_in_the_middle_and_the_rest_follows(service, owner):
    card, client = service
    client.update(IMAGE, "u")
    assert card.wait_for(lambda: card.updating, 10)
    card.reset()
    assert over(owner).phase is Phase.DONE
    assert Phase.INTERRUPTED in phases(owner)
    assert card.firmware == "sim-1.1.0"
