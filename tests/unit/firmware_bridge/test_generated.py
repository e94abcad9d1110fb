"""What is made from the message table is current, and both languages read and write the golden vectors alike."""

import json
from pathlib import Path

import pytest

from firmware_bridge import messages as m
from firmware_bridge.framing import Decoder, Frame, encode_frame
from firmware_bridge.generate.__main__ import stale
from firmware_bridge.generate.files import generated_files
from firmware_bridge.reference.build import SOURCES
from firmware_bridge.reference.core import Decoding, Verdict
from firmware_bridge.vocabulary import Kind

VECTORS = json.loads((SOURCES / "vectors.json").read_text(encoding="utf-8"))
in_c = pytest.mark.peer("gcc", "make")


def named(rows, *keys):
    return [pytest.param(row, id="-".join(str(row[key]) for key in keys)) for row in rows]


def frame_of(row):
    header = row["header"]
    payload = bytes.fromhex(row["payload"])
    if header["kind"] == "RSP":
        reply = Decoder().feed(bytes.fromhex(row["frame"]))[0].payload
        assert reply[2:] == payload
        payload = reply
    return Frame(
        Kind[header["kind"]], header["line"], header["flags"], header["seq"], header["ack"], header["id"], payload
    )


def verdicts_of(decoder):
    counters = decoder.counters
    return {
        "good": counters.frames, "cobs": counters.cobs_errors, "crc": counters.crc_errors, "short": counters.short,
        "overrun": counters.overruns,
    }  # fmt: skip


def test_the_committed_files_are_what_the_table_says(repository):
    assert stale(repository) == [], "run python -m firmware_bridge.generate"


def test_a_stale_or_missing_file_is_found(tmp_path):
    assert stale(tmp_path) == list(generated_files())


@pytest.mark.parametrize("row", named(VECTORS["messages"], "message", "case"))
def test_a_message_of_the_vectors_in_python(row):
    payload, wire = bytes.fromhex(row["payload"]), bytes.fromhex(row["frame"])
    frame = frame_of(row)
    assert encode_frame(frame) == wire
    assert Decoder().feed(wire) == [frame]
    if row["header"]["kind"] != "RSP":
        spec = m.find_spec(frame.kind, frame.id)
        assert spec.name == row["message"]
        assert m.pack(m.parse(spec, payload)) == payload


@in_c
@pytest.mark.parametrize("row", named(VECTORS["messages"], "message", "case"))
def test_a_message_of_the_vectors_in_c(core, row):
    payload, wire = bytes.fromhex(row["payload"]), bytes.fromhex(row["frame"])
    assert core.recode(row["message"], payload) == payload
    assert core.frame(frame_of(row)) == wire
    assert core.verdicts(wire) == [Verdict.GOOD]


@pytest.mark.parametrize("row", named(VECTORS["frames"], "name"))
def test_a_frame_of_the_vectors_gets_its_verdict_in_python(row):
    decoder = Decoder()
    verdicts = []
    for byte in bytes.fromhex(row["bytes"]):
        before = verdicts_of(decoder)
        decoder.feed(bytes([byte]))
        verdicts += [name for name, count in verdicts_of(decoder).items() if count > before[name]]
    assert verdicts == row["verdicts"]


@in_c
@pytest.mark.parametrize("row", named(VECTORS["frames"], "name"))
def test_a_frame_of_the_vectors_gets_its_verdict_in_c(core, row):
    assert [verdict.name.lower() for verdict in core.verdicts(bytes.fromhex(row["bytes"]))] == row["verdicts"]


@pytest.mark.parametrize("row", named(VECTORS["payloads"], "name"))
def test_a_payload_of_the_vectors_gets_its_verdict_in_python(row):
    spec = m.find_spec(Kind[row["kind"]], row["id"])
    if spec is None:
        verdict = "unknown"
    else:
        try:
            m.parse(spec, bytes.fromhex(row["payload"]))
            verdict = "good"
        except m.MessageError:
            verdict = "malformed"
    assert verdict == row["verdict"]


@in_c
@pytest.mark.parametrize("row", named(VECTORS["payloads"], "name"))
def test_a_payload_of_the_vectors_gets_its_verdict_in_c(core, row):
    assert core.command(row["id"], bytes.fromhex(row["payload"])) is Decoding[row["verdict"].upper()]


def test_every_message_with_fields_has_three_vectors():
    cases = {(row["message"], row["case"]) for row in VECTORS["messages"]}
    for spec in m.TABLE:
        wanted = ("least", "some", "most") if spec.layout.fields else ("only",)
        assert {(spec.name, case) for case in wanted} <= cases


@in_c
def test_the_library_is_built_with_this_table(core):
    assert core.schema == m.SCHEMA_HASH


def test_the_core_needs_no_heap_and_no_input_or_output():
    allowed = {"<stdbool.h>", "<stddef.h>", "<stdint.h>", "<string.h>"}
    for source in sorted(SOURCES.glob("lc_*")):
        text = source.read_text(encoding="utf-8")
        assert text.startswith("/* SPDX-License-Identifier: 0BSD")
        included = {line.split()[1] for line in text.splitlines() if line.startswith("#include <")}
        assert included <= allowed, source.name
    assert "BSD Zero Clause" in (Path(SOURCES) / "LICENSE").read_text(encoding="utf-8")
