"""The simulated card as a program: what a person or a test in another language sees."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import CardUp, Digit, Hook, LineCard
from firmware_bridge.simulator import PtyCard
from firmware_bridge.simulator.__main__ import Console


def run(*lines: str) -> list[dict]:
    out = io.StringIO()
    Console(PtyCard(lines=2), out).run(lines)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_program_drives_a_telephone(tmp_path, owner):
    path = tmp_path / "card"
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware_bridge.simulator", "--pty", str(path), "--lines", "1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    with process:
        assert json.loads(process.stdout.readline()) == {"type": "ready", "path": str(path), "lines": 1}
        client = LineCard(str(path), on_event=owner.on_event, on_audio=owner.on_audio)
        client.start()
        try:
            assert owner.wait_event(CardUp(1, "sim-1.0.0"))
            process.stdin.write("off 0\ndial 0 7 40 40\non 0\n")
            assert owner.wait_event(Hook(0, off_hook=False))
            assert owner.events[1:3] == [Hook(0, off_hook=True), Digit(0, "7")]
            seen = [json.loads(process.stdout.readline())["what"] for _ in range(4)]
            assert seen == ["the host opens a session", "off-hook", "digit 7", "on-hook"]
        finally:
            client.stop()
            process.stdin.write("quit\n")
            assert process.wait(5) == 0
    assert not path.is_symlink()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sing", "no command 'sing'"), ("off", "a line is missing"), ("off 2", "line 2 does not exist"),
        ("unkind", "a seed is missing"), ("unkind 1 rain=0.1", "no mischief 'rain'"), ("unkind 1 loss=2", "loss is 2"),
        ("loop 0", "the name of a loop is missing"), ("loop 0 knot", "no loop 'knot'"),
        ("babble", "a number of bytes is missing"), ("pulse 0 1*", "a dial has no '*'"),
        ("record 0", "milliseconds is missing"),
        ("dial 0 1x", "no key 'x'"), ("speak 0 9000", "outside"), ("hears 0 loud", "not a whole number"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_answered_with_a_sentence(line, sentence):
    (_, error) = run(line)
    assert error["type"] == "error"
    assert sentence in error["text"]


def test_the_wire_is_made_bad_and_good_again_on_order(tmp_path, owner):
    out = io.StringIO()
    with PtyCard(lines=1, link_path=tmp_path / "card") as card:
        console = Console(card, out)
        console.run(["unkind 7 loss=1.0"])
        client = LineCard(card.path, on_event=owner.on_event, on_audio=owner.on_audio)
        client.start()
        try:
            assert card.wait_for(lambda: card.mischief_done.get("loss", 0) >= 3, 10)
            assert not card.connected
            console.run(["state", "kind"])
            assert owner.wait_event(CardUp(1, "sim-1.0.0"))
        finally:
            client.stop()
    (state,) = [said for line in out.getvalue().splitlines() if (said := json.loads(line))["type"] == "state"]
    assert state["mischief"]["loss"] >= 3
    assert state["rate"] == 115_200


def test_what_was_heard_is_given_as_samples():
    (_, recorded, wires) = run("record 0 500", "wires 1")
    assert (recorded["type"], wires["type"]) == ("recorded", "wires")
    assert bytes.fromhex(recorded["pcm"]) == bytes(2 * 8000 // 2)
    assert wires["pcm"] == ""


def test_the_state_names_every_line():
    (_, state) = run("state")
    assert [(phone["display"], phone["name"], phone["lamp_for_messages"]) for phone in state["phones"]] == [
        ("", "", False)
    ] * 2
    assert [phone["line"] for phone in state["phones"]] == [0, 1]
    assert state["connected"] is False


@given(
    st.lists(
        st.text(max_size=40).filter(lambda text: text.split()[:1] not in (["reset"], ["unplug"], ["plug"])), max_size=5
    )
)
def test_no_input_ends_the_program(lines):
    assert run(*lines)[0]["type"] == "ready"
