"""Calls whose far ends are to be told another Contact: each once, as soon as nothing else is under way."""

from __future__ import annotations

import pjsua2 as pj
import pytest

from agent.gateway.daemon.sip.contact_news import ContactNews


class Busy(pj.Error):
    """What the library says while another offer is under way."""

    def __init__(self):
        super().__init__(171_140, "reinvite", "Invalid operation", "", 0)


class Call:
    """A call that is busy for its first `busy` attempts."""

    def __init__(self, busy=0):
        self.call_id, self.busy, self.told = "one", busy, 0

    def tell_contact(self):
        if self.busy:
            self.busy -= 1
            raise Busy
        self.told += 1


class Bench:
    def __init__(self):
        self.now, self.logs = 0, []
        self.news = ContactNews(lambda: self.now, lambda *line: self.logs.append(line))

    def passes(self, seconds):
        """Time, as a loop that sleeps as long as it may sees it."""
        end = self.now + seconds * 1000
        while self.now < end:
            self.news.tell()
            self.now += min(max(1, self.news.wait_ms(500)), end - self.now)


@pytest.fixture
def bench():
    return Bench()


def test_a_far_end_is_told_once_and_at_once(bench):
    call = Call()
    assert bench.news.wait_ms(500) == 500
    bench.news.owe(call)
    bench.news.owe(call)
    assert bench.news.wait_ms(500) == 0
    bench.passes(3)
    assert (call.told, bench.logs, bench.news.wait_ms(500)) == (1, [], 500)


def test_an_offer_that_is_under_way_is_waited_for(bench):
    call = Call(busy=2)
    bench.news.owe(call)
    bench.news.tell()
    assert (bench.news.wait_ms(5000), bench.news.wait_ms(200)) == (1000, 200)
    bench.passes(3)
    assert (call.told, bench.logs) == (1, [])


def test_one_that_never_ends_is_given_up_and_logged(bench):
    call = Call(busy=99)
    bench.news.owe(call)
    bench.passes(30)
    assert (call.told, 99 - call.busy) == (0, 10)
    assert [line[:2] for line in bench.logs] == [("warning", "sip_contact_not_told")]


def test_a_call_that_has_ended_and_a_library_that_ends_are_told_nothing(bench):
    gone, there = Call(), Call()
    bench.news.owe(gone)
    bench.news.over(gone)
    bench.news.owe(there)
    bench.news.forget()
    bench.passes(1)
    assert (gone.told, there.told) == (0, 0)
