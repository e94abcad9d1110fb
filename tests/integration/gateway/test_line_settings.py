"""What is set for a line reaches its card, and what a telephone says reaches the media bridge as it should."""

import threading

import msgspec
import pytest

from agent.clock import boot_us
from agent.core import actions, events
from agent.core.terms import LineProfile
from agent.gateway.analogue import Analogue
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.card import Card
from agent.gateway.protocol import Configure, DigitMap, Line
from firmware_bridge.simulator import PtyCard
from firmware_bridge.tonemeter import level_dbm0, tone

CONFIGURATION = Configure(
    revision="1", accounts=[], routes=[], digit_map=DigitMap(patterns=[], emergency=["112"]), tones={},
    ring_cadence_ms=[1000, 4000],
    lines=[
        Line(line=0, account="a", number="+4722000001", send_gain_ddb=-60),
        Line(line=1, account="a", number="+4722000002"),
    ],
)  # fmt: skip


class Bridge:
    """The media clock's half, driven by the test: 20 ms of PCM out for each 20 ms of PCM in."""

    def __init__(self, audio: LineAudio) -> None:
        self.audio = audio
        self.said: list[bytes] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.spoken = tone(600, 1000, -10)

    def _run(self) -> None:
        at = 0
        while not self.stop.wait(0.02):
            self.audio.media_put(self.spoken[at : at + 320])
            at = (at + 320) % len(self.spoken)
            self.said.append(self.audio.media_get())


@pytest.fixture
def home(tmp_path):
    with PtyCard(lines=2, link_path=tmp_path / "card") as simulated:
        seen: list[object] = []
        audio = [LineAudio(boot_us), LineAudio(boot_us)]
        card = Card(str(tmp_path / "card"), audio, seen.append)
        card.use(CONFIGURATION)
        card.start()
        bridge = Bridge(audio[0])
        assert simulated.wait_for(lambda: any(isinstance(event, events.CardUp) for event in seen), 10)
        bridge.thread.start()
        yield simulated, card, bridge, seen
        bridge.stop.set()
        bridge.thread.join()
        card.stop()


def test_a_lines_gain_is_told_to_the_card_again_whenever_it_has_restarted(home):
    simulated, card, _bridge, seen = home
    line = simulated.phones[0]._line
    assert simulated.wait_for(lambda: (line.tx_cdb, line.rx_cdb) == (-600, 0), 10)
    simulated.reset()
    assert simulated.wait_for(lambda: sum(isinstance(event, events.CardUp) for event in seen) == 2, 10)
    assert simulated.wait_for(lambda: line.tx_cdb == -600, 10)
    changed = msgspec.structs.replace(CONFIGURATION.lines[0], send_gain_ddb=0, receive_gain_ddb=30)
    card.use(msgspec.structs.replace(CONFIGURATION, lines=[changed]))
    assert simulated.wait_for(lambda: (line.tx_cdb, line.rx_cdb) == (0, 300), 10)


def test_the_window_of_the_recall_key_reaches_the_card_and_a_longer_press_hangs_up(home):
    simulated, card, _, seen = home
    phone, line = simulated.phones[0], simulated.phones[0]._line
    assert simulated.wait_for(lambda: line.hook.times.flash_max_ms == 500, 10)
    hook = msgspec.structs.replace(CONFIGURATION.analogue.hook, flash_max_ms=200)
    card.use(msgspec.structs.replace(CONFIGURATION, analogue=Analogue(hook=hook)))
    assert simulated.wait_for(lambda: line.hook.times.flash_max_ms == 200, 10)
    phone.off_hook()
    phone.flash(100)
    phone.flash(300)
    assert simulated.wait_for(lambda: seen.count(events.OffHook(0)) == 2, 10)
    happened = [type(event) for event in seen if isinstance(event, events.OffHook | events.OnHook | events.HookFlash)]
    assert happened == [events.OffHook, events.HookFlash, events.OnHook, events.OffHook]


def test_a_dial_with_a_finger_hole_dials_as_well_as_keys_do(home):
    simulated, _, _, seen = home
    phone = simulated.phones[0]
    phone.off_hook()
    phone.dial_by_pulses("110", gap_ms=400)
    assert simulated.wait_for(lambda: sum(isinstance(event, events.DigitDialled) for event in seen) == 3, 10)
    assert [event.digit for event in seen if isinstance(event, events.DigitDialled)] == ["1", "1", "0"]
    assert not any(isinstance(event, events.OnHook | events.HookFlash) for event in seen)


def test_a_machines_line_has_no_echo_canceller(home):
    simulated, card, _, _ = home
    card.perform(actions.OpenAudio(0))
    assert simulated.wait_for(lambda: simulated.phones[0].audio_open, 10)
    assert simulated.phones[0]._line.echo_canceller
    card.perform(actions.CloseAudio(0))
    fax = msgspec.structs.replace(CONFIGURATION.lines[0], profile=LineProfile.FAX)
    card.use(msgspec.structs.replace(CONFIGURATION, lines=[fax]))
    card.perform(actions.OpenAudio(0))
    assert simulated.wait_for(lambda: not simulated.phones[0]._line.echo_canceller, 10)


def test_the_tone_of_a_fax_machine_switches_the_echo_canceller_off_in_mid_call(home):
    simulated, card, bridge, seen = home
    phone = simulated.phones[0]
    phone.off_hook()
    card.perform(actions.OpenAudio(0))
    assert simulated.wait_for(lambda: phone.audio_open, 10)
    assert phone._line.echo_canceller
    bridge.spoken = tone(2100, 1000, -10)
    assert simulated.wait_for(lambda: not phone._line.echo_canceller, 10)
    assert [event for event in seen if isinstance(event, events.MachineHeard)] == [events.MachineHeard(0)]
    card.perform(actions.CloseAudio(0))
    bridge.spoken = tone(600, 1000, -10)
    card.perform(actions.OpenAudio(0))
    assert simulated.wait_for(lambda: phone._line.echo_canceller, 10)


def test_a_key_in_a_call_is_told_as_a_digit_and_hardly_heard_as_sound(home):
    simulated, card, bridge, seen = home
    phone = simulated.phones[0]
    phone.off_hook()
    card.perform(actions.OpenAudio(0))
    assert phone.wait_for(lambda: phone.hears(600, 100) > -12, 10)
    bridge.said.clear()
    phone.dial("5", on_ms=200, gap_ms=300)
    assert phone.wait_script(5)
    assert simulated.wait_for(lambda: events.DigitDialled(0, "5") in seen, 10)
    heard = [level_dbm0(pcm, 770) > -30 for pcm in bridge.said]
    assert sum(heard) <= 3, "of ten frames of 20 ms only what went out before the decoder had found it"


def test_a_key_of_the_far_end_is_played_to_the_telephone(home):
    simulated, card, _, _ = home
    phone = simulated.phones[1]
    phone.off_hook()
    card.perform(actions.PlayDtmf(1, "8"))
    # A key lasts 80 ms: heard over 200 ms it is 8 dB fainter.
    assert phone.wait_for(lambda: phone.hears(852, 200) > -20 and phone.hears(1336, 200) > -20, 10)
    assert phone.wait_for(lambda: phone.tone is None, 10)
