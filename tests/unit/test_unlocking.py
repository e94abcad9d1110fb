"""The agent answers a dialled code, shows the next one, and says who was admitted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog
from msgspec import structs

from agent.clock import Moment
from agent.core.unlock import CODE_LIFE_MS, MAX_WRONG, UNLOCKED_MS, WRONG_WINDOW_MS, UnlockDesk
from agent.gateway.client import GatewayUnavailableError
from agent.gateway.protocol import UNLOCK_PATIENCE_MS, Unlock, Unlocked
from agent.unlocking import Unlocking

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Desk:
    def __init__(self, moment: Moment):
        self.now = moment
        self.sent, self.touched = [], 0
        numbers = iter(range(100, 1000))
        self.unlocking = Unlocking(
            UnlockDesk(lambda: next(numbers)), now=lambda: self.now, send=self.sent.append, touch=self.touch
        )

    def touch(self):
        self.touched += 1

    def dialled(self, code, *, ago_ms=0, line=1):
        self.unlocking.heard(Unlock(line=line, code=code, at_ms=self.now.boot_ms - ago_ms))

    def view(self):
        return self.unlocking.view(self.now)


@pytest.fixture
def desk(moment):
    return Desk(moment)


@pytest.fixture
def moment():
    from agent.clock import Clock

    return structs.replace(Clock().now(), boot_ms=1_000_000, wall=NOON)


def test_the_right_code_is_accepted_and_the_page_says_until_when(desk):
    code = desk.view().unlock_code
    assert desk.view().code_until == NOON + timedelta(milliseconds=CODE_LIFE_MS)
    desk.dialled(code)
    assert desk.sent == [Unlocked(line=1, accepted=True)]
    assert desk.touched == 1
    after = desk.view()
    assert after.unlocked_until == NOON + timedelta(milliseconds=UNLOCKED_MS)
    assert after.unlock_code not in ("", code)


def test_wrong_codes_are_refused_and_then_none_is_shown(desk):
    for _ in range(MAX_WRONG):
        desk.dialled("999999")
    assert desk.sent == [Unlocked(line=1, accepted=False)] * MAX_WRONG
    assert desk.view().unlock_code == ""
    assert desk.view().locked_until == NOON + timedelta(milliseconds=WRONG_WINDOW_MS)


def test_what_the_gateway_has_given_up_waiting_for_admits_nobody(desk):
    desk.dialled(desk.view().unlock_code, ago_ms=UNLOCK_PATIENCE_MS)
    assert (desk.sent, desk.view().unlocked_until) == ([], None)


def test_a_gateway_that_has_just_gone_is_no_trouble(desk):
    def gone(_record):
        raise GatewayUnavailableError("gone")

    desk.unlocking._send = gone
    desk.dialled("000000")
    assert desk.touched == 1


def test_the_log_tells_of_the_try_and_not_of_the_code(desk):
    with structlog.testing.capture_logs() as logs:
        desk.dialled("271828")
        desk.dialled(code := desk.view().unlock_code)
    assert [(one["log_level"], one["verdict"], one["line"]) for one in logs] == [
        ("warning", "wrong", 1),
        ("info", "accepted", 1),
    ]
    assert "271828" not in str(logs)
    assert code not in str(logs)
