"""The log: readable by machines, and nothing private in it."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import re

import pytest
import structlog
from hypothesis import assume, given
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


@pytest.mark.parametrize(
    "written",
    [
        "22-33-44-55", "22.33.44.55", "(22) 33 44 55", "tel:+47-2233-4455", "+47 (22) 33.44.55", "22 - 33 - 44 - 55",
        "22\N{NON-BREAKING HYPHEN}33\N{NON-BREAKING HYPHEN}44\N{NON-BREAKING HYPHEN}55", "912.34.567", "800-10-200",
        "1.212.555.1234", "+46-8-123-456-78", "<sip:+4722-33-44-55@example.org>", "47.22.33.44.55",
    ],
)  # fmt: skip
def test_number_is_hidden_however_its_digits_are_set_apart(written):
    scrubbed = scrub(f"no route to {written} now")
    assert "•" in scrubbed
    assert len(re.findall("[0-9]", scrubbed)) < 7


_part = st.from_regex(r"[0-9]{2,4}", fullmatch=True)
_gap = st.sampled_from([" ", "-", ".", ") ", " (", "\u00a0", " - ", ""])


@given(st.sampled_from(["", "+", "tel:", "sip:+", "("]), st.from_regex(r"[3-9][0-9]{1,3}", fullmatch=True), st.data())
def test_no_grouping_lets_a_number_through(prefix, first, data):
    groups = data.draw(st.lists(st.tuples(_gap, _part), min_size=4, max_size=6))
    text = prefix + first + "".join(gap + part for gap, part in groups)
    assert len(re.findall("[0-9]", scrub(text))) < 7


_moments = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2099, 12, 31))  # noqa: DTZ001 - the text's zone is drawn apart


@given(
    st.sampled_from(["", "at ", "3 ", "from=", "(", '"']),
    st.one_of(
        st.dates(min_value=dt.date(1970, 1, 1), max_value=dt.date(2099, 12, 31)).map(str),
        _moments.map(str),
        _moments.map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}+02:00"),
        st.times().map(str),
        st.ip_addresses(v=4).map(str).filter(lambda text: not re.fullmatch(r"[2-9]\d(\.\d\d){3}", text)),
        st.uuids().map(str),
        st.sampled_from(["5.15.0-1053", "2.14.1", "10.0.19045.3803", "v10.15.123456", "2026.11.22", "6.12.34-1234"]),
    ),
    st.sampled_from(["", " ", ")", ": gone", ",", "Z\n"]),
)
def test_dates_times_addresses_versions_and_identifiers_stay_whole(before, kept, after):
    text = f"{before}{kept}{after}"
    # A count right before an address or a version reads as one number with it: it is hidden, which is the safe side.
    assume(before != "3 " or not re.match(r"[0-9]{1,3}\.|2026\.", kept))
    assert scrub(text) == text


@given(st.text("0123456789+ -.():TZv•", max_size=40))
def test_scrubbing_separated_digits_is_stable(text):
    assert scrub(scrub(text)) == scrub(text)


def test_a_reload_changes_level_and_form_of_loggers_in_use(lines):
    log = structlog.get_logger("calls")
    log.info("before")
    log.debug("too_detailed")
    stream = io.StringIO()
    configure("debug", "text", stream)
    log.debug("after")
    assert [line["event"] for line in lines()] == ["before"]
    assert "after" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
