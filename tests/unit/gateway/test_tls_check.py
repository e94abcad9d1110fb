"""Whose certificate it is, and that nobody gets through who was not looked at lately."""

from __future__ import annotations

import queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway.daemon.tls_check import judge
from agent.gateway.daemon.tls_gate import FRESH_MS, TlsGate

NAME = "sip.example.net"


def _certificate(common_name="", *names):
    subject = (((("commonName", common_name),),)) if common_name else ()
    return {"subject": subject, "subjectAltName": tuple(names)} if names else {"subject": subject}


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ([("DNS", "sip.example.net")], NAME),
        ([("DNS", "other.example"), ("DNS", "SIP.Example.net.")], NAME),
        ([("URI", "sip:sip.example.net")], NAME),
        ([("IP Address", "192.0.2.1")], "192.0.2.1"),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1")], "2001:db8::1"),
    ],
)
def test_the_very_name_is_good(names, asked):
    assert judge(_certificate("whoever", *names), asked) == ""


@pytest.mark.parametrize(
    ("certificate", "asked", "words"),
    [
        (_certificate("x", ("DNS", "other.example")), NAME, "is for other.example, not for sip.example.net"),
        (_certificate("x", ("DNS", "*.example.net")), NAME, "is for *.example.net, not for"),
        (_certificate("x", ("DNS", "sip.example.net\0.evil.example")), NAME, "not for sip.example.net"),
        (_certificate("x", ("URI", "https:sip.example.net")), NAME, "not for"),
        (_certificate("x", ("email", "sip.example.net")), NAME, "not for"),
        (_certificate("x", ("DNS", "192.0.2.1")), "192.0.2.1", "not for 192.0.2.1"),
        (_certificate(NAME), NAME, "only as its common name, which does not count: it has no alternative name"),
        (
            _certificate(NAME, ("DNS", "other.example")),
            NAME,
            "only as its common name, which does not count: its",
        ),
        (_certificate("192.0.2.1", ("IP Address", "192.0.2.2")), "192.0.2.1", "only as its common name"),
        ({}, NAME, "is for nobody"),
    ],
)
def test_any_other_is_not_and_it_is_said_whose_it_is(certificate, asked, words):
    verdict = judge(certificate, asked)
    assert words in verdict
    assert verdict.isprintable()


@given(st.lists(st.tuples(st.sampled_from(["DNS", "URI", "IP Address", "x"]), st.text()), max_size=6), st.text())
def test_whatever_a_certificate_says_only_the_name_itself_is_believed(names, common_name):
    verdict = judge(_certificate(common_name, *names), NAME)
    ours = {("DNS", NAME), ("DNS", NAME + "."), ("URI", f"sip:{NAME}"), ("URI", f"sips:{NAME}")}
    believed = any((kind, value.lower()) in ours or value.lower() == f"sips:{NAME}." for kind, value in names)
    assert believed or verdict
    assert len(verdict) < 1000


TARGET = Target("192.0.2.1", 5061, Transport.TLS, NAME)


class Bench:
    def __init__(self):
        self.now, self.checks, self.jobs, self.told = 0, [], queue.Queue(), []
        self.verdict = ""
        self.gate = TlsGate(self._check, self.jobs.put, lambda: self.now)

    def _check(self, target):
        self.checks.append(target)
        return self.verdict

    def ask(self, target=TARGET):
        self.gate.ask(target, self.told.append)

    def finish(self, count=1):
        for _ in range(count):
            self.jobs.get(timeout=5)()
        assert self.jobs.empty()


def test_udp_and_tcp_go_through_without_a_check():
    bench = Bench()
    bench.ask(Target("192.0.2.1", 5060))
    bench.ask(Target("192.0.2.1", 5060, Transport.TCP))
    assert (bench.told, bench.checks) == (["", ""], [])


def test_who_waits_for_the_same_server_waits_for_one_check_and_a_good_one_counts_for_a_while():
    bench = Bench()
    bench.ask()
    bench.ask()
    assert bench.told == []
    bench.finish()
    assert (bench.told, len(bench.checks)) == (["", ""], 1)
    bench.now = FRESH_MS - 1
    bench.ask()
    assert (len(bench.told), len(bench.checks)) == (3, 1)
    bench.now = FRESH_MS
    bench.ask()
    bench.finish()
    assert (len(bench.told), len(bench.checks)) == (4, 2)


def test_a_refusal_counts_for_those_who_waited_and_for_nobody_after_them():
    bench = Bench()
    bench.verdict = "expired"
    bench.ask()
    bench.finish()
    bench.verdict = ""
    bench.ask()
    bench.finish()
    assert (bench.told, len(bench.checks)) == (["expired", ""], 2)


def test_two_servers_of_one_name_are_two():
    bench = Bench()
    bench.ask()
    bench.ask(Target("192.0.2.2", 5061, Transport.TLS, NAME))
    bench.finish(2)
    assert sorted(target.address for target in bench.checks) == ["192.0.2.1", "192.0.2.2"]
