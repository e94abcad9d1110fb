"""The bad wire itself: it does what it says, by its seed, and never reorders."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.simulator import ROUGH, Mischief, UnkindWire
from firmware_bridge.simulator.unkind import MAX_CARRIED, garble

FRAMES = [bytes([1 + n % 200]) * 10 + b"\0" for n in range(500)]


def carried(mischief, seed=1):
    wire = UnkindWire(seed, mischief)
    out = []
    for now, frame in enumerate(FRAMES):
        wire.put(frame, now)
        out.append(wire.take(now))
    out.append(wire.take(1 << 30))
    return b"".join(out), wire


def test_a_good_wire_changes_nothing():
    data, wire = carried(Mischief())
    assert data == b"".join(FRAMES)
    assert wire.done == {}
    assert wire.next_ms() is None


def test_the_same_seed_is_the_same_wire():
    assert carried(ROUGH, 5)[0] == carried(ROUGH, 5)[0]
    assert carried(ROUGH, 5)[0] != carried(ROUGH, 6)[0]


@pytest.mark.parametrize("kind", ["loss", "repeat", "cut", "noise", "stall", "reset"])
def test_each_kind_of_mischief_is_done_as_often_as_told(kind):
    _, wire = carried(Mischief(**{kind: 0.2}))
    assert 60 <= wire.done[kind] <= 140
    assert set(wire.done) == {kind}
    assert wire.reset_wanted is (kind == "reset")


@given(st.integers(0, 100), st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.0, 0.1]))
def test_frames_never_overtake_each_other(seed, delay, jitter, stall):
    data, _ = carried(Mischief(delay_ms=delay, jitter_ms=jitter, stall=stall, loss=0.2), seed)
    arrived = data.split(b"\0")[:-1]
    places = iter(FRAMES)
    assert all(any(frame == place[:-1] for place in places) for frame in arrived)


def test_a_wire_that_nobody_empties_stays_bounded():
    wire = UnkindWire(1, Mischief(stall=1.0, stall_ms=10_000))
    for _ in range(20_000):
        wire.put(FRAMES[0], 0)
    assert len(wire.take(1 << 60)) <= MAX_CARRIED


def test_a_pulled_cable_keeps_nothing():
    wire = UnkindWire(1, Mischief(delay_ms=100))
    wire.put(FRAMES[0], 0)
    wire.clear()
    assert wire.take(1000) == b""


@pytest.mark.parametrize("wrong", [{"loss": 1.1}, {"delay_ms": -1}, {"flip": -0.1}, {"stall_ms": 10_001}])
def test_impossible_mischief_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Mischief(**wrong)


@given(st.binary(max_size=300), st.sampled_from([115_200, 1_000_000]), st.sampled_from([115_200, 2_000_000]))
def test_unequal_rates_make_bounded_nonsense(data, sent, read):
    heard = garble(data, sent, read, random.Random(1))
    if sent == read:
        assert heard == data
    else:
        assert len(heard) <= max(1, 4 * len(data))
