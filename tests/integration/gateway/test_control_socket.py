"""The technician's socket itself: strangers, nonsense, slow readers, files that are none, a visit that ends early."""

from __future__ import annotations

import os
import queue
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.linetest_run import RunPhase
from agent.core.update import UpdatePhase
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.control import ControlError, UpdateCard, converse
from agent.gateway.daemon.actions import UpdateAbandoned, UpdateOrdered
from agent.gateway.daemon.control import ControlServer
from agent.gateway.protocol import Exercise, encode
from firmware_bridge import FirmwareImage
from firmware_bridge.simulator import Maker

MAKER = Maker()


class Desk:
    """A server with its callbacks turned into queues."""

    def __init__(self, folder: Path, uids: set[int]) -> None:
        self.path = folder / "control.sock"
        self.keys = folder / "keys"
        self.keys.mkdir(exist_ok=True)
        self.posted: queue.Queue[object] = queue.Queue()
        self.offered: dict[str, FirmwareImage] = {}
        self.logged: queue.Queue[str] = queue.Queue()
        self.server = ControlServer(
            self.path, allowed_uids=uids, keys=self.keys, post=self.posted.put, offer=self.offered.__setitem__,
            log=lambda _level, event, _detail: self.logged.put(event),
        )  # fmt: skip
        self.server.start()

    def visit(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(5)
        connection.connect(str(self.path))
        return connection


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, {os.geteuid()})
    yield made
    made.server.stop()


def test_an_order_is_passed_on_and_its_records_come_back_to_it_alone(desk: Desk) -> None:
    with desk.visit() as one, desk.visit() as other:
        one.send(b'{"type":"exercise","line":0,"what":"test","request":"a"}')
        other.send(b'{"type":"exercise","line":1,"what":"test","request":"b"}')
        orders = {desk.posted.get(timeout=5), desk.posted.get(timeout=5)}
        assert orders == {
            Exercise(line=0, what="test", request="a"), Exercise(line=1, what="test", request="b"),
        }  # fmt: skip
        record = LineTestState(line=1, phase=RunPhase.DONE, request="b")
        desk.server.publish(record)
        assert other.recv(70_000) == encode(record)
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(10)


def test_a_stranger_is_turned_away(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {os.geteuid() + 1})
    with desk.visit() as stranger:
        assert stranger.recv(10) == b""
    assert desk.logged.get(timeout=5) == "technician_refused"
    desk.server.stop()


def test_only_the_owner_may_open_the_socket(desk: Desk) -> None:
    assert desk.path.stat().st_mode & 0o777 == 0o600


def test_nonsense_ends_the_visit_and_nothing_else(desk: Desk) -> None:
    chance = random.Random(7)
    for _ in range(300):
        with desk.visit() as visitor:
            visitor.send(chance.randbytes(chance.randrange(1, 200)))
            assert visitor.recv(10) == b""
    assert desk.posted.empty()
    with desk.visit() as visitor:
        visitor.send(b'{"type":"exercise","line":0,"what":"test","request":"a"}')
        assert desk.posted.get(timeout=5) == Exercise(line=0, what="test", request="a")


def test_a_second_order_in_one_visit_ends_it(desk: Desk) -> None:
    with desk.visit() as visitor:
        for _ in range(2):
            visitor.send(b'{"type":"exercise","line":0,"what":"test","request":"a"}')
        assert visitor.recv(10) == b""


def test_who_reads_slowly_gets_the_newest_records(desk: Desk) -> None:
    with desk.visit() as visitor:
        visitor.send(b'{"type":"exercise","line":0,"what":"test","request":"a"}')
        desk.posted.get(timeout=5)
        for number in range(5_000):
            desk.server.publish(UpdateState(phase=UpdatePhase.SENDING, request="a", sent=number, total=5_000))
        desk.server.publish(UpdateState(phase=UpdatePhase.DONE, request="a", total=5_000))
        last = b""
        while b'"done"' not in last:
            last = visitor.recv(70_000)


def _open_image(desk: Desk, data: bytes) -> int:
    path = desk.path.with_name("image")
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


def test_a_genuine_image_is_offered_and_ordered_whatever_its_files_offset(desk: Desk) -> None:
    (desk.keys / "maker.pem").write_text(MAKER.pem)
    file = _open_image(desk, MAKER.image(b"body" * 99, "2.3.4"))
    os.lseek(file, 50, os.SEEK_SET)
    with desk.visit() as visitor:
        socket.send_fds(visitor, [b'{"type":"update_card","request":"u","forced":true}'], [file])
        assert desk.posted.get(timeout=5) == UpdateOrdered("u", "2.3.4", 396, forced=True)
    os.close(file)
    assert desk.offered["u"].body == b"body" * 99


def test_who_leaves_in_the_middle_of_an_update_gives_it_up(desk: Desk) -> None:
    (desk.keys / "maker.pem").write_text(MAKER.pem)
    file = _open_image(desk, MAKER.image(b"body", "2.3.4"))
    with desk.visit() as visitor:
        socket.send_fds(visitor, [b'{"type":"update_card","request":"u"}'], [file])
        assert isinstance(desk.posted.get(timeout=5), UpdateOrdered)
    os.close(file)
    assert desk.posted.get(timeout=5) == UpdateAbandoned("u")


def test_a_finished_update_is_not_given_up_again(desk: Desk) -> None:
    (desk.keys / "maker.pem").write_text(MAKER.pem)
    file = _open_image(desk, MAKER.image(b"body", "2.3.4"))
    with desk.visit() as visitor:
        socket.send_fds(visitor, [b'{"type":"update_card","request":"u"}'], [file])
        desk.posted.get(timeout=5)
        desk.server.publish(UpdateState(phase=UpdatePhase.DONE, request="u"))
        visitor.recv(70_000)
    os.close(file)
    with desk.visit() as visitor:
        visitor.send(b'{"type":"exercise","line":0,"what":"test","request":"a"}')
        assert isinstance(desk.posted.get(timeout=5), Exercise)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda desk: None, "no maker's key"),
        (lambda desk: (desk.keys / "a.pem").write_text("rubbish"), "a.pem: it is no Ed25519"),
        (lambda desk: (desk.keys / "a.pem").write_text(Maker("x").pem), "not signed by any"),
    ],
)
def test_an_image_is_refused_with_the_reason(desk: Desk, prepare, sentence: str) -> None:
    prepare(desk)
    file = _open_image(desk, MAKER.image(b"body", "2.3.4"))
    answers = converse(desk.path, UpdateCard(request="u"), patience_s=5, file=file)
    told = next(answers)
    os.close(file)
    answers.close()
    assert isinstance(told, UpdateState)
    assert (told.phase, told.reason) == (UpdatePhase.REFUSED, "refused_image")
    assert sentence in told.detail
    assert desk.posted.empty()


def test_an_order_without_its_file_is_refused(desk: Desk) -> None:
    answers = converse(desk.path, UpdateCard(request="u"), patience_s=5)
    assert "no file came" in next(answers).detail
    answers.close()


def test_without_a_gateway_the_command_says_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="is it running"):
        next(converse(tmp_path / "nothing", Exercise(line=0, what="test"), patience_s=1))


def test_a_silent_gateway_is_not_waited_for_for_ever(desk: Desk) -> None:
    with pytest.raises(ControlError, match="said nothing"):
        next(converse(desk.path, Exercise(line=0, what="test", request="x"), patience_s=0.1))
