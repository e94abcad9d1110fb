"""The simulated card in memory, on a clock of its own: ringing, tones, lease, strictness."""

import pytest

from firmware_bridge import messages as m
from firmware_bridge.framing import Decoder, Frame, encode_frame
from firmware_bridge.g711 import decode_alaw
from firmware_bridge.link_events import AudioReceived, Received
from firmware_bridge.simulator import SimulatedCard
from firmware_bridge.tonemeter import level_dbm0
from firmware_bridge.vocabulary import AudioFlag, Kind, LineTest, ResetMode, Status
from tests.unit.firmware_bridge.card_bench import CardBench

DIAL = m.ToneStart(m.ToneProgram(-10, (m.ToneSegment((425,), 0),)))
BUSY = m.ToneProgram(-10, (m.ToneSegment((425,), 250), m.ToneSegment((), 250)))


class Bench(CardBench):
    """With a host that may be dead, and that says again what it hears."""

    def __init__(self):
        self.transcript = []
        self.host_alive = True
        self.echo = True
        super().__init__(note=lambda now, line, what: self.transcript.append((line, what)))

    def exchange(self):
        if self.host_alive:
            super().exchange()
        else:
            self.card.data_to_send(self.now)

    def hear(self, event):
        super().hear(event)
        if isinstance(event, AudioReceived) and self.echo:
            self.host.send_audio(event.line, event.counter, 0, event.data)


@pytest.fixture
def bench():
    return Bench()


def test_a_new_session_tells_the_state_of_every_line(bench):
    assert [e.line for e in bench.seen if isinstance(e, Received) and isinstance(e.message, m.LineStatus)] == [0, 1]
    assert not any(status.off_hook for status in bench.told(m.LineStatus))


def test_ringing_follows_its_cadence(bench):
    assert bench.order(m.RingStart((1000, 4000))) is Status.OK
    bench.run(11_000)
    phases = bench.told(m.RingPhaseEvent)
    assert [(phase.burst, phase.on) for phase in phases] == [(1, True), (1, False), (2, True), (2, False), (3, True)]
    assert [later.t_us - phases[0].t_us for later in phases] == [0, 1_000_000, 5_000_000, 6_000_000, 10_000_000]


def test_ringing_ends_by_itself_at_its_limit(bench):
    bench.order(m.RingStart((1000, 4000), max_ms=2000))
    bench.run(2100)
    assert not bench.phones[0].ringing


def test_lifting_stops_the_ringing_without_the_host(bench):
    bench.order(m.RingStart((1000, 4000), caller="22334455"))
    bench.host_alive = False
    bench.phones[0].off_hook()
    bench.run(20)
    assert not bench.phones[0].ringing
    assert bench.transcript[-2:] == [(0, "ringing ends"), (0, "off-hook")]


def test_a_lifted_telephone_cannot_ring(bench):
    bench.phones[0].off_hook()
    bench.run(20)
    assert bench.order(m.RingStart((1000, 4000))) is Status.OFF_HOOK


@pytest.mark.parametrize("cadence", [(), (1000,), (0, 0)])
def test_a_cadence_that_is_none_is_refused(bench, cadence):
    assert bench.order(m.RingStart(cadence)) is Status.INVALID


def test_without_its_host_the_card_falls_silent_after_three_seconds(bench):
    bench.phones[1].off_hook()
    bench.order(m.RingStart((1000, 4000)), line=0)
    bench.order(DIAL, line=1)
    bench.order(m.AudioStart(), line=1)
    bench.host_alive = False
    bench.run(2900)
    assert bench.phones[0].ringing
    assert bench.phones[1].tone is not None
    bench.run(300)
    assert not bench.phones[0].ringing
    assert bench.phones[1].tone is None
    assert not bench.phones[1].audio_open
    assert bench.phones[1].hears(425) > -30  # the last of the tone is still in the ear
    bench.run(500)
    assert bench.phones[1].hears(425) < -100


def test_a_busy_tone_comes_and_goes(bench):
    bench.phones[0].off_hook()
    bench.order(m.ToneStart(BUSY))
    levels = []
    for _ in range(8):
        bench.run(250)
        levels.append(bench.phones[0].hears(425, 200) > -12)
    assert levels == [True, False] * 4


def test_a_tone_played_once_ends_and_says_so(bench):
    bench.order(m.ToneStart(m.ToneProgram(-13, (m.ToneSegment((950,), 330), m.ToneSegment((1400,), 330)), once=True)))
    bench.run(700)
    assert bench.phones[0].tone is None
    assert len(bench.told(m.ToneDoneEvent)) == 1


def test_speech_is_played_after_two_frames_and_a_lost_one_is_concealed(bench):
    phone = bench.phones[0]
    phone.off_hook()
    phone.speak(1000)
    bench.order(m.AudioStart())
    bench.run(1000)
    assert phone.hears(1000) == pytest.approx(-10, abs=0.3)
    received, sent = phone.frames
    assert received == sent == 100
    bench.echo = False
    bench.run(40)
    assert bench.card.lines[0].playout.underruns > 0
    bench.run(500)
    assert phone.hears(1000) < -100


def test_speech_and_tone_are_heard_together(bench):
    phone = bench.phones[0]
    phone.off_hook()
    phone.speak(1000)
    bench.order(m.AudioStart())
    bench.order(DIAL)
    bench.run(1000)
    assert phone.hears(1000) == pytest.approx(-10, abs=0.5)
    assert phone.hears(425) == pytest.approx(-10, abs=0.5)


def test_nothing_is_dialled_with_the_handset_on_the_hook(bench):
    bench.phones[0].dial("12")
    bench.phones[0].flash()
    bench.run(1000)
    assert bench.told(m.DigitEvent) == bench.told(m.FlashEvent) == []


def test_digits_last_as_long_as_they_were_pressed(bench):
    bench.phones[0].off_hook()
    bench.phones[0].dial("1*", on_ms=70, gap_ms=100)
    bench.run(1000)
    starts = [event.t_us for event in bench.told(m.DigitEvent)]
    ends = [(event.digit, event.ms) for event in bench.told(m.DigitEndEvent)]
    assert starts[1] - starts[0] == 170_000
    assert ends == [("1", 70), ("*", 70)]


@pytest.mark.parametrize(
    ("message", "line", "status"),
    [
        (m.RingStop(), 5, Status.BAD_LINE), (m.LineTestStart(LineTest.LOOPBACK), 0, Status.UNSUPPORTED),
        (m.SetLinefeed(4), 0, Status.INVALID), (m.ToneStart(m.ToneProgram(-10, ())), 0, Status.INVALID),
    ],
)  # fmt: skip
def test_a_wrong_order_is_refused_with_its_reason(bench, message, line, status):
    assert bench.order(message, line) is status


def test_a_reset_by_order_keeps_handsets_and_forgets_the_rest(bench):
    bench.phones[0].off_hook()
    bench.run(20)
    bench.order(DIAL)
    bench.host.send(m.Reset(ResetMode.SOFT))
    bench.run(100)
    assert bench.host.up
    assert bench.phones[0].tone is None
    assert bench.told(m.LineStatus)[-2].off_hook


@pytest.mark.parametrize(
    ("spec", "payload"),
    [
        pytest.param(spec, payload, id=f"{spec.name}-{len(payload)}")
        for spec in m.TABLE
        for payload in (b"", bytes(200))
        if spec.kind is Kind.CMD and not (spec.record is m.Reset and payload)  # a restarted card has no answer
    ],
)
def test_every_command_is_answered_be_it_whole_or_not(bench, spec, payload):
    bench.card.receive(encode_frame(Frame(Kind.CMD, 0, 0, 0, 0, spec.id, payload)), bench.now)
    sent = Decoder().feed(bench.card.data_to_send(bench.now))
    assert [frame.id for frame in sent if frame.kind == Kind.RSP] == [spec.id]


@pytest.mark.parametrize("lines", [0, 9])
def test_a_card_has_one_to_eight_lines(lines):
    with pytest.raises(ValueError, match=str(lines)):
        SimulatedCard(lines)


def test_a_telephone_has_only_its_keys(bench):
    with pytest.raises(ValueError, match="'E'"):
        bench.phones[0].dial("1E")


def speech(bench):
    return [event for event in bench.seen if isinstance(event, AudioReceived)]


def test_a_key_is_in_the_speech_before_the_decoder_has_found_it(bench):
    bench.phones[0].off_hook()
    bench.order(m.AudioStart())
    bench.phones[0].dial("5", on_ms=80, gap_ms=80)
    bench.run(300)
    loud = [event for event in speech(bench) if level_dbm0(decode_alaw(event.data), 770) > -20]
    flagged = [event for event in speech(bench) if event.flags & AudioFlag.DTMF]
    assert len(loud) == 8
    assert len(flagged) == 5
    assert all(event in loud for event in flagged)


def test_a_key_that_is_only_brushed_is_no_digit(bench):
    bench.phones[0].off_hook()
    bench.phones[0].dial("5", on_ms=20, gap_ms=80)
    bench.run(300)
    assert bench.told(m.DigitEvent) == bench.told(m.DigitEndEvent) == []


def test_digits_are_played_to_the_telephone_one_after_the_other(bench):
    bench.phones[0].off_hook()
    bench.run(20)
    assert bench.order(m.DtmfSend("5", on_ms=200, off_ms=50)) is Status.OK
    bench.run(150)
    assert bench.phones[0].hears(770, 100) == pytest.approx(-10, abs=0.5)
    assert bench.phones[0].hears(1336, 100) == pytest.approx(-10, abs=0.5)
    bench.run(300)
    assert bench.phones[0].hears(770, 100) < -80
    assert bench.order(m.DtmfSend("E")) is Status.INVALID


def test_gains_make_both_ways_louder_and_weaker(bench):
    phone = bench.phones[0]
    phone.off_hook()
    phone.speak(1000)
    bench.order(m.AudioStart())
    assert bench.order(m.SetGain(tx_cdb=-600, rx_cdb=300)) is Status.OK
    bench.run(600)
    said = b"".join(decode_alaw(event.data) for event in speech(bench)[-20:])
    assert level_dbm0(said, 1000) == pytest.approx(-16, abs=0.3)
    assert phone.hears(1000, 200) == pytest.approx(-13, abs=0.3)
