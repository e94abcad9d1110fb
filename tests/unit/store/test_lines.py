"""Lines of the journal: whole or refused, whatever the card makes of them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.store.lines import (
    MAX_LINE,
    Acknowledged,
    Alive,
    Begun,
    Finished,
    LineError,
    Purged,
    Quarantined,
    UnknownLineError,
    pack,
    unpack,
)

text = st.text(max_size=40)
lines = st.one_of(
    st.builds(Begun, base=st.booleans()),
    st.builds(Alive, ids=st.lists(text, max_size=5), at_ms=st.integers(0, 2**60)),
    st.builds(Acknowledged, ids=st.lists(text, max_size=5), at_ms=st.integers(0, 2**60)),
    st.builds(Quarantined, id=text, reason=text),
    st.builds(Purged, ids=st.lists(text, max_size=5)),
    st.builds(
        Finished,
        id=text,
        cdr=st.dictionaries(text, text, max_size=3).map(lambda body: msgspec.Raw(msgspec.json.encode(body))),
        periods=st.lists(text, max_size=2),
    ),
)


@given(st.integers(1, 10**15), lines)
def test_a_line_comes_back_as_it_was_written(serial, line):
    packed = pack(serial, line)
    assert packed.endswith(b"\n")
    assert packed.count(b"\n") == 1
    assert unpack(packed) == (serial, line)


@given(st.integers(1, 10**15), lines, st.data())
def test_a_line_with_any_other_byte_is_refused(serial, line, data):
    packed = bytearray(pack(serial, line))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LineError):
        unpack(bytes(packed))


@given(st.integers(1, 10**15), lines, st.data())
def test_a_line_that_was_cut_is_refused(serial, line, data):
    packed = pack(serial, line)
    with pytest.raises(LineError):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(garbage):
    with pytest.raises(LineError):
        unpack(garbage + b"\n")


def test_a_sound_line_of_a_newer_version_is_told_apart_from_garbage():
    class Novelty(msgspec.Struct, tag="novelty"):
        what: str

    with pytest.raises(UnknownLineError, match="line 7"):
        unpack(pack(7, Novelty("x")))


def test_a_line_that_no_reader_would_take_is_not_written():
    with pytest.raises(LineError, match="at most"):
        pack(1, Quarantined(id="x", reason="y" * MAX_LINE))
