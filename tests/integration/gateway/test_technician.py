"""A technician at the command line, a real gateway without an agent, and a simulated card on a pty."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.gateway.control import ControlError, UpdateCard, converse
from agent.gateway.protocol import Exercise
from firmware_bridge.simulator import LOOPS, Loop, Maker, PtyCard

MAKER = Maker()
BODY = bytes(range(256)) * 160


class House:
    """The card, the gateway and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control = folder / "control.sock"
        self.keys = folder / "keys"
        self.keys.mkdir()
        (self.keys / "maker.pem").write_text(MAKER.pem)
        self.card = PtyCard(lines=2, link_path=folder / "card", trial_ms=12_000)
        self.gateway: subprocess.Popen[bytes] | None = None

    def start_gateway(self) -> None:
        words = ["--socket", self.folder / "agent.sock", "--card", self.folder / "card", "--state",
                 self.folder / "state", "--bind", "127.0.0.1", "--firmware-keys", self.keys]  # fmt: skip
        log = (self.folder / "gateway.log").open("ab")
        self.gateway = subprocess.Popen([sys.executable, "-m", "agent", "gateway", *map(str, words)], stderr=log)
        log.close()
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until the gateway knows that the card is up."""
        for _ in range(400):
            order = Exercise(line=7, what="test", request="ready?")
            with contextlib.suppress(ControlError):
                if next(converse(self.control, order, patience_s=5)).reason == "refused_no_line":
                    return
            time.sleep(0.05)
        pytest.fail("the gateway does not find its card")

    def command(self, *words: str | Path) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "agent", "line", *map(str, words), "--control", str(self.control)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        process = self.command(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def wire(self, line: int, loop: Loop) -> None:
        phone = self.card.phones[line]
        phone.wire(loop)
        assert phone.wait_for(lambda: phone.wired(loop), 10)

    def image(self, version: str = "1.1.0", body: bytes = BODY, maker: Maker = MAKER) -> Path:
        path = self.folder / f"{version}.img"
        path.write_bytes(maker.image(body, version))
        return path

    def kill_gateway(self) -> None:
        if self.gateway is not None:
            self.gateway.kill()
            self.gateway.wait()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    with made.card:
        try:
            made.start_gateway()
            yield made
        finally:
            made.kill_gateway()


def test_a_good_line_is_found_good(house: House) -> None:
    code, out, err = house.run("test", "1")
    assert (code, err) == (0, "")
    assert "The line is good." in out
    assert out.count("good") >= 5
    assert "GR-909" in out


FAULTS = {
    "open": "No telephone is connected",
    "leak": "Current leaks between the wires",
    "ground": "A wire touches ground",
    "foreign": "not the adapter's",
    "mains": "DANGER TO LIFE",
    "ringers": "Too many telephones",
}


def test_each_fault_is_found_and_explained(house: House) -> None:
    for name, words in FAULTS.items():
        house.wire(1, LOOPS[name])
        code, out, _ = house.run("test", "2")
        assert (code, "The line has a fault." in out) == (1, True), name
        assert words in out


def test_a_telephone_in_use_is_not_tested_and_the_answer_is_data_on_wish(house: House) -> None:
    house.card.phones[0].off_hook()
    assert house.card.phones[0].wait_for(lambda: house.card.phones[0].tone is not None, 10)
    code, out, _ = house.run("test", "1", "--json")
    told = json.loads(out)
    assert code == 1
    assert (told["phase"], told["reason"]) == ("refused", "refused_in_use")
    assert "linjen er i bruk" in house.run("test", "1", "--lang", "nb")[1]


def test_a_lifted_handset_ends_the_test_and_has_its_dial_tone(house: House) -> None:
    answers = converse(house.control, Exercise(line=0, what="test", request="t"), patience_s=10)
    assert next(answers).phase.value == "running"
    phone = house.card.phones[0]
    phone.off_hook()
    last = next(answer for answer in answers if answer.phase.value != "running")
    assert (last.phase.value, last.reason) == ("aborted", "aborted_line_needed")
    assert phone.wait_for(lambda: phone.tone is not None, 10)


def test_new_firmware_is_written_tried_and_kept(house: House) -> None:
    code, out, err = house.run("update", house.image())
    assert code == 0, err
    assert "now runs version 1.1.0" in out
    assert house.card.firmware == "sim-1.1.0"
    assert house.run("test", "1")[0] == 0, "and the telephone lives with it"
    code, _, err = house.run("update", house.image())
    assert (code, "already" in err) == (1, True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda house: house.image(maker=Maker("stranger")), "not signed by any of the makers"),
        (lambda house: _write(house, house.image().read_bytes()[:-1]), "the header tells of"),
        (lambda house: _write(house, b"x" * 5_000_000), "at most"),
        (lambda house: (house.keys / "maker.pem").unlink() or house.image(), "no maker's key is installed"),
    ],
)
def test_an_image_that_is_not_genuine_is_refused_with_a_sentence(house: House, spoil, words: str) -> None:
    code, _, err = house.run("update", spoil(house))
    assert code == 2
    assert words in err
    assert house.card.firmware == "sim-1.0.0"


def _write(house: House, data: bytes) -> Path:
    path = house.folder / "bad.img"
    path.write_bytes(data)
    return path


def test_a_file_that_is_none_is_refused(house: House) -> None:
    assert house.run("update", house.folder)[0] == 2
    reader, writer = os.pipe()
    answers = converse(house.control, UpdateCard(request="p"), patience_s=5, file=reader)
    assert "no regular file" in next(answers).detail
    os.close(reader)
    os.close(writer)


def _sending(house: House, request: str = "u"):
    """Begin an update and listen until some of it is sent."""
    with house.image().open("rb") as file:
        answers = converse(house.control, UpdateCard(request=request), patience_s=30, file=file.fileno())
        for answer in answers:
            if answer.phase.value == "sending" and answer.sent > 4096:
                return answers
    raise AssertionError("nothing was sent")


def _end(answers):
    return next(answer for answer in answers if answer.phase.over)


def test_a_lifted_handset_ends_the_update_and_the_next_one_goes_on_there(house: House) -> None:
    answers = _sending(house)
    phone = house.card.phones[1]
    phone.off_hook()
    over = _end(answers)
    assert (over.phase.value, over.reason) == ("aborted", "aborted_line_needed")
    assert phone.wait_for(lambda: phone.tone is not None, 3), "dial tone comes first"
    assert house.run("update", house.image())[0] == 1, "and the handset is still up"
    phone.on_hook()
    assert phone.wait_for(lambda: phone.tone is None, 10)
    answers = _sending(house, "again")
    assert _end(answers).phase.value == "done"
    assert house.card.firmware == "sim-1.1.0"


def test_the_cable_is_pulled_in_the_middle_and_the_update_goes_on(house: House) -> None:
    answers = _sending(house)
    house.card.unplug()
    assert next(answer for answer in answers if answer.phase.value == "interrupted")
    house.card.plug()
    assert _end(answers).phase.value == "done"


def test_the_power_of_the_card_fails_in_the_middle_and_the_update_goes_on(house: House) -> None:
    answers = _sending(house)
    house.card.kill()
    house.card.start()
    assert _end(answers).phase.value == "done"
    assert house.card.firmware == "sim-1.1.0"


def test_the_gateway_is_killed_in_the_middle_and_the_same_command_goes_on(house: House) -> None:
    answers = _sending(house)
    house.kill_gateway()
    with pytest.raises(ControlError):
        _end(answers)
    assert house.card.firmware == "sim-1.0.0"
    house.start_gateway()
    assert house.run("update", house.image())[0] == 0
    assert house.card.firmware == "sim-1.1.0"


def test_the_gateway_is_killed_during_the_trial_and_the_next_one_confirms(house: House) -> None:
    answers = _sending(house)
    assert next(answer for answer in answers if answer.phase.value == "confirming")
    house.kill_gateway()
    house.start_gateway()
    assert house.card.wait_for(lambda: house.card.trial_over, 15)
    assert house.card.firmware == "sim-1.1.0"


def test_ctrl_c_ends_the_update_without_harm(house: House) -> None:
    slow = house.image(body=BODY * 6)
    process = house.command("update", slow)
    assert house.card.wait_for(lambda: house.card.updating, 20)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0
    answer = None
    for _ in range(100):
        with slow.open("rb") as file:
            answers = converse(house.control, UpdateCard(request="next"), patience_s=30, file=file.fileno())
            answer = next(answers)
            if answer.reason != "refused_updating":
                assert _end(answers).phase.value == "done"
                break
        time.sleep(0.05)
    assert house.card.firmware == "sim-1.1.0"


@pytest.mark.slow
def test_firmware_that_does_not_talk_is_undone(house: House) -> None:
    code, _, err = house.run("update", house.image(body=b"#mute" + BODY))
    assert code == 1
    assert "went back to the old one" in err
    assert house.card.firmware == "sim-1.0.0"
    assert house.run("test", "1")[0] == 0
