"""The reference device as a program: the same commands and answers as the simulator's, and no input that ends it."""

import json
import random
import subprocess

import pytest

from firmware_bridge import CardUp, Digit, Hook, LineCard
from firmware_bridge.reference.process import ProcessError, TalkingProgram

pytestmark = pytest.mark.peer("gcc", "make")

WORDS = [
    "off", "on", "dial", "flash", "pause", "speak", "hears", "state", "button", "reset", "unplug", "plug", "unkind",
    "kind", "babble", "raw", "0", "1", "7", "-1", "112", "999999", "1000000", "none", "zzz", "loss=0.5", "loss=", "=",
    "flip=nan", "00ff", "0", "\"", "\\", "\u00e6", "x" * 300,
]  # fmt: skip


@pytest.fixture
def device(reference_device, tmp_path):
    return [str(reference_device("checked")), "--pty", str(tmp_path / "card")]


def test_a_program_drives_a_telephone(device, tmp_path, owner):
    events = []
    program = TalkingProgram([*device, "--lines", "1", "--firmware", "f-1.2.3"], events.append)
    assert program.ready == {"type": "ready", "path": str(tmp_path / "card"), "lines": 1}
    client = LineCard(str(tmp_path / "card"), on_event=owner.on_event, on_audio=owner.on_audio)
    client.start()
    try:
        assert owner.wait_event(CardUp(1, "f-1.2.3"))
        program.tell("off 0")
        program.tell("dial 0 7 40 40")
        program.tell("on 0")
        assert owner.wait_event(Hook(0, off_hook=False))
        assert owner.events[1:3] == [Hook(0, off_hook=True), Digit(0, "7")]
        program.ask("state", "state")
        assert [event["what"] for event in events] == ["the host opens a session", "off-hook", "digit 7", "on-hook"]
    finally:
        client.stop()
        program.end(kill=False)
    assert not program.running
    assert not (tmp_path / "card").is_symlink()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sing", "no command 'sing'"), ("off", "a line is missing"), ("off 2", "line 2 does not exist"),
        ("unkind", "a seed is missing"), ("unkind 1 rain=0.1", "no such mischief"), ("unkind 1 loss=2", "bounds"),
        ("babble", "a number of bytes is missing"), ("dial 0", "digits is missing"), ("raw xy", "hexadecimal"),
        ("dial 0 1x", "no key 'x'"), ("speak 0 9000", "outside"), ("hears 0 loud", "not a whole number"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_answered_with_a_sentence(device, line, sentence):
    program = TalkingProgram(device, lambda _event: None)
    try:
        with pytest.raises(ProcessError, match=sentence):
            program.ask(line, "state")
    finally:
        program.end(kill=False)


@pytest.mark.parametrize("arguments", [["--lines", "0"], ["--lines", "9"], ["--pty"], ["--tea", "1"]])
def test_a_wrong_argument_is_refused(device, arguments):
    run = subprocess.run([*device, *arguments], check=False, capture_output=True, text=True, timeout=10)
    assert run.returncode == 2
    assert arguments[0] in run.stderr


def test_no_input_ends_the_program(device):
    chance = random.Random(3)
    lines = [" ".join(chance.choices(WORDS, k=chance.randrange(8))).encode() for _ in range(2000)]
    lines += [chance.randbytes(40).replace(b"\n", b" ") for _ in range(500)]
    lines += [b"x" * 40_000, b"plug", b"hears 0 425", b"state", b"quit"]
    run = subprocess.run(device, input=b"\n".join(lines) + b"\n", check=False, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.decode(errors="replace").splitlines()]
    assert answers[-1]["type"] == "state"
    assert {"ready", "event", "heard", "state", "error"} == {answer["type"] for answer in answers}
