"""The gateway is told to end: at once, but never in the middle of an emergency call."""

from __future__ import annotations

import configparser
from pathlib import Path

from agent.core.terms import CallPhase, Cause
from agent.gateway.daemon.switch import EMERGENCY_PATIENCE_MS, STOP_PATIENCE_MS
from agent.gateway.protocol import Decide, Log


def _words(gateway) -> list[str]:
    return [record.event for record in gateway.records if isinstance(record, Log)]


def test_without_an_emergency_call_it_ends_at_once(gateway) -> None:
    ordinary = gateway.call_number("22334455")
    gateway.send(Decide(call_id=ordinary, granted=True))
    gateway.peer_answers(ordinary)
    gateway.stop()
    gateway.advance(STOP_PATIENCE_MS)
    assert gateway.call(ordinary).cause is Cause.SHUTDOWN
    assert gateway.finished


def test_it_waits_for_the_end_of_an_emergency_call(gateway) -> None:
    call_id = gateway.call_number("112")
    gateway.peer_answers(call_id)
    gateway.stop()
    gateway.advance(EMERGENCY_PATIENCE_MS - 1000)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED
    assert "stop_put_off" in _words(gateway)
    assert not gateway.finished
    gateway.hang_up()
    gateway.advance(STOP_PATIENCE_MS)
    assert gateway.call(call_id).cause is Cause.NORMAL
    assert gateway.finished


def test_it_waits_while_the_emergency_call_is_still_being_set_up(gateway) -> None:
    call_id = gateway.call_number("112")
    gateway.stop()
    gateway.advance(1000)
    gateway.peer_answers(call_id)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED


def test_another_emergency_call_may_begin_meanwhile(gateway) -> None:
    first = gateway.call_number("112", 0)
    gateway.peer_answers(first)
    gateway.stop()
    second = gateway.call_number("113", 1)
    gateway.peer_answers(second)
    gateway.hang_up(0)
    gateway.advance(60_000)
    assert gateway.call(second).phase is CallPhase.ANSWERED
    assert not gateway.finished


def test_an_emergency_call_that_begins_while_it_ends_goes_through(gateway) -> None:
    ordinary = gateway.call_number("22334455", 1)
    gateway.send(Decide(call_id=ordinary, granted=True))
    gateway.lift(0)
    gateway.dial("11", 0)
    gateway._process.switch._accounts.any_registered = lambda: True  # the registrar takes its time
    gateway.stop()
    gateway.dial("2", 0)
    call_id = next(call.call_id for call in gateway.calls() if call.number == "112")
    gateway.peer_answers(call_id)
    gateway.advance(60_000)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED
    gateway.hang_up(0)
    gateway.advance(STOP_PATIENCE_MS)
    assert gateway.call(call_id).cause is Cause.NORMAL
    assert gateway.finished


def test_its_patience_has_an_end(gateway) -> None:
    call_id = gateway.call_number("112")
    gateway.peer_answers(call_id)
    gateway.stop()
    gateway.advance(EMERGENCY_PATIENCE_MS + STOP_PATIENCE_MS)
    assert gateway.call(call_id).cause is Cause.SHUTDOWN
    assert gateway.finished


def test_a_second_signal_means_now(gateway) -> None:
    call_id = gateway.call_number("112")
    gateway.peer_answers(call_id)
    gateway.stop()
    gateway.advance(1000)
    gateway.stop()
    gateway.advance(STOP_PATIENCE_MS)
    assert gateway.call(call_id).cause is Cause.SHUTDOWN
    assert gateway.finished


def test_the_unit_is_as_patient(repository: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(repository / "deploy/raspberrypi/iplink-gateway.service", encoding="utf-8")
    assert int(unit["Service"]["TimeoutStopSec"]) * 1000 > EMERGENCY_PATIENCE_MS + STOP_PATIENCE_MS
