"""What the Switch decides for a line is always something that can be said to the line card."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core import actions, terms
from agent.core.announcement import Announcement
from agent.core.caller import CallerId, Presentation
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.card import Card
from agent.gateway.protocol import Configure, ProtocolError, ToneSegment, ToneSpec, decode_agent_record, encode

CLOCK = lambda: 0  # noqa: E731  nothing is spoken here
NO_CARD = "/nonexistent"

SEGMENTS = st.builds(
    ToneSegment, frequencies=st.lists(st.integers(0, 5000), max_size=5), ms=st.integers(-1, 70_000)
) | st.builds(ToneSegment, frequencies=st.lists(st.integers(100, 3800), max_size=4), ms=st.integers(0, 60_000))
TONES = st.builds(
    ToneSpec, level_dbm0=st.integers(-60, 0) | st.integers(), segments=st.lists(SEGMENTS, max_size=17),
    once=st.booleans(),
)  # fmt: skip
CADENCES = st.lists(st.integers(50, 60_000) | st.integers(), max_size=9)
CALLERS = st.builds(
    CallerId,
    st.text(st.characters(), max_size=80),
    st.text(st.characters(), max_size=80),
    st.sampled_from(Presentation),
)
ACTIONS = st.one_of(
    st.builds(actions.Ring, st.integers(-1, 9), st.none() | CALLERS, st.text(max_size=40), st.text(max_size=10)),
    st.builds(actions.ShowWaiting, st.integers(-1, 9), CALLERS, st.text(max_size=10)),
    st.builds(actions.ShowMessages, st.integers(-1, 9), st.booleans()),
    st.builds(actions.StopRing, st.integers(-1, 9)),
    st.builds(actions.PlayTone, st.integers(-1, 9), st.sampled_from(terms.Tone), st.integers(0, 60_000)),
    st.builds(actions.PlayDtmf, st.integers(-1, 9), st.text(max_size=3)),
    st.builds(actions.StopTone, st.integers(-1, 9)),
    st.builds(actions.OpenAudio, st.integers(-1, 9)),
    st.builds(actions.CloseAudio, st.integers(-1, 9)),
    st.builds(
        actions.Announce, st.integers(-1, 9), st.sampled_from(Announcement), st.integers(0, 99), st.integers(0, 5000)
    ),
    st.builds(actions.StopAnnouncement, st.integers(-1, 9)),
    st.builds(actions.SetLamp, st.integers(-1, 9), st.sampled_from(terms.Lamp)),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tone=TONES, cadence=CADENCES, actions=st.lists(ACTIONS, min_size=1, max_size=8))
def test_whatever_configuration_is_accepted_every_action_can_be_told_to_the_card(
    configuration: Configure, tone: ToneSpec, cadence: list[int], actions: list[actions.CardAction]
) -> None:
    asked = msgspec.structs.replace(
        configuration, tones=dict.fromkeys(terms.Tone, tone), ring_cadence_ms=cadence
    )  # fmt: skip
    try:
        accepted = decode_agent_record(encode(asked))
    except (ProtocolError, OverflowError):
        return
    assert isinstance(accepted, Configure)
    said: list[str] = []
    card = Card(
        NO_CARD, [LineAudio(CLOCK)] * 8, lambda _event: None, log=lambda _level, event, _detail: said.append(event)
    )
    card.use(accepted)
    for action in actions:
        card.perform(action)
    assert said == []


@pytest.mark.parametrize("cadence", [[49, 4000], [1000, 60_001], [70_000, 4000], [-1, 50], [1000]])
def test_a_cadence_that_no_card_can_ring_is_refused(configuration: Configure, cadence: list[int]) -> None:
    with pytest.raises(ProtocolError, match="ring_cadence_ms"):
        decode_agent_record(encode(msgspec.structs.replace(configuration, ring_cadence_ms=cadence)))


def test_an_action_that_the_card_has_no_words_for_is_logged(configuration: Configure) -> None:
    said: list[str] = []
    card = Card(NO_CARD, [LineAudio(CLOCK)], lambda _event: None, log=lambda _level, event, _detail: said.append(event))
    card.use(msgspec.structs.replace(configuration, ring_cadence_ms=[70_000, 4000]))
    card.perform(actions.Ring(0, CallerId("22334455")))
    assert said == ["card_action_impossible"]
