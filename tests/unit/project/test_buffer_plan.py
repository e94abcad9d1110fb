"""The written buffer plan and the one in force are the same."""

from pathlib import Path

from agent.gateway.daemon.buffer_plan import CARD_FRAME, CARD_PLAYOUT, DATA, MUTE_AFTER, SPEECH
from firmware_bridge.link import AUDIO_QUEUE

PLAN = " ".join((Path(__file__).parents[3] / "docs" / "speech.md").read_text(encoding="utf-8").split())


def test_every_figure_of_the_plan_is_the_one_in_force():
    ms = CARD_FRAME // 8
    for words in (
        f"Speech begins with a slack of {SPEECH.begin_us // 1000} ms up to {SPEECH.begin_us // 1000 + ms} ms",
        f"falls below {SPEECH.low_us // 1000} ms, one frame is inserted; above {SPEECH.high_us // 1000} ms one is left",
        f"runs into the bound of {SPEECH.capacity} frames",
        f"at most {AUDIO_QUEUE} frames ({AUDIO_QUEUE * ms} ms) of one line wait for the wire",
        f"| card: playout | {CARD_PLAYOUT * ms} |",
        f"silent after {MUTE_AFTER * ms} ms",
        f"{DATA.begin_us // 1000}–{DATA.begin_us // 1000 + ms} ms, left alone",
        f"cut only when {DATA.capacity} frames wait",
    ):
        assert words in PLAN
