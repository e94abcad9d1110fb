"""When the owner of a line card hears that it is up: as soon as it is known which handsets are lifted."""

import pytest

from firmware_bridge import CardDown, CardUp, Hook, LineCard, card
from firmware_bridge import messages as m
from firmware_bridge.link_events import DownReason, LinkDown, LinkUp, Received
from firmware_bridge.vocabulary import Kind, ResetCause


class Clock:
    """The boot clock."""

    def __init__(self):
        self.ms = 5_000


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(card, "boot_ms", lambda: made.ms)
    return made


class Told:
    """A line card of two lines, what its link says and what its owner hears."""

    def __init__(self):
        self.events = []
        self.card = LineCard("/dev/none", on_event=self.events.append, on_audio=lambda _frame: None)

    def link(self, event):
        self.card.link_event(self.card._link, event)

    def up(self, lines=2):
        self.link(LinkUp(m.HelloAck(
            major=1, minor=0, schema=0, session=1, boot_id=7, reset_cause=ResetCause.POWER_ON, max_payload=100,
            window=8, capabilities=0, lines=lines, bauds=(), firmware="f1", hardware="h1",
        )))  # fmt: skip

    def says(self, line, message):
        self.link(Received(Kind.EVT, line, 0, message, 0, 1))

    def status(self, line, *, off_hook=False):
        self.says(line, m.LineStatus(0, off_hook, 0, False, False, False, 0, 0, 0))

    def pass_time(self):
        """What the port's thread does when something is due."""
        self.card.woken(self.card._link)


@pytest.fixture
def told(clock):
    return Told()


def test_it_is_up_when_the_state_of_every_line_is_known(told):
    told.up()
    told.status(0, off_hook=True)
    assert told.events == []
    told.status(1)
    assert told.events == [CardUp(2, "f1", off_hook=(0,))]
    told.status(0, off_hook=True)
    told.status(1, off_hook=True)
    assert told.events[1:] == [Hook(1, off_hook=True)]


def test_a_handset_that_moves_meanwhile_is_as_it_was_last(told):
    told.up()
    told.status(0, off_hook=True)
    told.says(0, m.HookEvent(0, off_hook=False))
    told.status(1)
    assert told.events == [CardUp(2, "f1")]


def test_a_card_without_lines_is_up_at_once(told):
    told.up(lines=0)
    assert told.events == [CardUp(0, "f1")]


def test_a_card_that_never_says_how_its_lines_are_is_taken_as_it_is(told, clock):
    told.up()
    told.status(1, off_hook=True)
    due = told.card.deadline()
    clock.ms = due - 1
    told.pass_time()
    assert told.events == []
    clock.ms = due
    told.pass_time()
    assert told.events == [CardUp(2, "f1", off_hook=(1,))]
    assert told.card.deadline() is None


def test_a_card_that_goes_before_its_lines_are_known_was_not_up(told, clock):
    told.up()
    told.link(LinkDown(DownReason.SILENT, "nothing was heard"))
    clock.ms += 10_000
    told.pass_time()
    assert told.events == [CardDown("nothing was heard")]
