"""The whole device in C against endless nonsense, under AddressSanitizer and UndefinedBehaviorSanitizer."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.framing import Decoder
from firmware_bridge.generate.vectors import sources
from firmware_bridge.wire import WireError

pytestmark = pytest.mark.peer("gcc", "make")


def fuzz(program, frames, seed, timeout):
    command = [program, str(frames), str(seed)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(zip(run.stdout.split()[::2], map(int, run.stdout.split()[1::2]), strict=True))


@pytest.mark.thorough
def test_the_device_survives_nonsense(reference_device):
    met = fuzz(reference_device("fuzz"), 20_000, 1, 60)
    assert met["sessions"] > 20
    assert min(met["malformed"], met["unknown"], met["damaged"]) > 500
    assert met["frames"] > 5000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [2, 3])
def test_the_device_survives_a_million_frames_of_nonsense(reference_device, seed):
    assert fuzz(reference_device("fuzz"), 1_000_000, seed, 800)["sessions"] > 1000


@given(st.binary(max_size=600))
def test_both_decoders_say_the_same_of_any_bytes(core, data):
    decoder = Decoder()
    decoder.feed(data + b"\0")
    counters = decoder.counters
    verdicts = [verdict.name for verdict in core.verdicts(data + b"\0")]
    assert [verdicts.count(name) for name in ("GOOD", "COBS", "CRC", "SHORT", "OVERRUN")] == [
        counters.frames, counters.cobs_errors, counters.crc_errors, counters.short, counters.overruns,
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "layout"), [(name, layout) for name, _, _, layout in sources()])
@given(payload=st.binary(max_size=m.MAX_PAYLOAD))
def test_both_codecs_say_the_same_of_any_payload(core, name, layout, payload):
    try:
        record = layout.parse(payload, 0)[0]
    except WireError:
        expected = None
    else:
        packed = bytearray()
        layout.pack(record, packed)
        expected = bytes(packed)
    assert core.recode(name, payload) == expected
