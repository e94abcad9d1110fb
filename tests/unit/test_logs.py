"""The log: readable by machines, and nothing private in it."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from agent.logs import HIDDEN, configure, guard, scrub


@pytest.fixture
def lines():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("info", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_event_is_one_json_line_with_time_level_and_event(lines):
    structlog.get_logger("calls").info("call_ended", seconds=61, number="+4741234512")
    (line,) = lines()
    assert line["event"] == "call_ended"
    assert line["level"] == "info"
    assert line["logger"] == "calls"
    assert line["seconds"] == 61
    assert line["number"] == "+47 4•• •• •12"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])


def test_level_is_obeyed_and_libraries_speak_from_warning_up(lines):
    structlog.get_logger().debug("detail")
    logging.getLogger("aiohttp.server").info("chatter")
    logging.getLogger("aiohttp.server").warning("bad request from %s", "4741234512")
    (line,) = lines()
    assert line["logger"] == "aiohttp.server"
    assert line["event"] == "bad request from 4•••••••12"


def test_exception_is_told_without_its_numbers(lines):
    try:
        raise ValueError("no route to +4741234512")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "41234512" not in line["exception"]


def test_lost_stream_does_not_stop_the_agent(lines):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    configure("info", "json", Gone())
    structlog.get_logger().info("nobody_listens")
    logging.getLogger("x").warning("nobody listens")


@pytest.mark.parametrize(("level", "fmt", "word"), [("loud", "json", "loud"), ("info", "xml", "xml")])
def test_unknown_words_are_refused(level, fmt, word):
    with pytest.raises(ValueError, match=word):
        configure(level, fmt)


number = st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True)
word = st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cs"]), max_size=10)
tree = st.recursive(
    st.tuples(word, number, word).map("".join),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(number, inner, min_size=1, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["event", "to", "detail"]), tree, min_size=1))
def test_no_full_number_passes_however_deep(event):
    assert not re.search(r"[0-9]{7}", json.dumps(guard(None, "", event)))


@given(
    st.sampled_from(["password", "sip_password", "device_secret", "Authorization", "proxy-authorization"]),
    st.text(min_size=1),
)
def test_secrets_are_dropped_however_deep(key, value):
    assert guard(None, "", {key: value, "a": {key: value, "b": 1}, "c": [{key: value}]}) == {"a": {"b": 1}, "c": [{}]}


@given(st.uuids(), st.binary(min_size=32, max_size=32), st.integers())
def test_identifiers_times_and_counts_stay(uuid, digest, count):
    event = {"call_id": str(uuid), "sha256": digest.hex(), "at_ms": count}
    assert guard(None, "", dict(event)) == event


def test_number_written_with_spaces_is_a_number_too():
    assert scrub("ring +47 41 23 45 12 now") == "ring +47 4•• •• •12 now"


def test_secret_inside_a_sentence_is_hidden():
    assert scrub("Authorization: Bearer abc.def") == f"Authorization: {HIDDEN}"
    assert "hunter2" not in scrub('{"password": "hunter2"}')


@given(st.text())
def test_scrubbing_is_total_and_stable(text):
    assert scrub(scrub(text)) == scrub(text)
