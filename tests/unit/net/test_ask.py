"""What a DNS server may send: a reply, or a sentence about what it was instead."""

from __future__ import annotations

import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.net import ask
from agent.net.names import Address, Kind, Question, Srv
from agent.net.replies import DnsError, Reply

QUESTION = Question("a.example", Kind.A)
QUERY = dns.message.make_query("a.example", "A", id=7)


def _response(*rrsets: tuple[str, str, str], rcode: int = dns.rcode.NOERROR) -> dns.message.Message:
    made = dns.message.make_response(QUERY)
    made.set_rcode(rcode)
    for name, kind, text in rrsets:
        made.answer.append(dns.rrset.from_text(name, 60, "IN", kind, text))
    return made


def test_records_of_other_names_and_kinds_are_passed_over():
    response = _response(("b.example.", "A", "203.0.113.66"), ("a.example.", "AAAA", "2001:db8::66"))
    assert ask.read(response, QUESTION) == Reply((), 0)


def test_a_chain_that_the_server_did_not_follow_says_where_it_leads():
    response = _response(("a.example.", "CNAME", "B.example."))
    assert ask.read(response, QUESTION) == Reply((), 60, "b.example")


def test_a_chain_without_end_and_a_refusal_are_errors():
    loop = _response(("a.example.", "CNAME", "b.example."), ("b.example.", "CNAME", "a.example."))
    for response in (loop, _response(rcode=dns.rcode.REFUSED), _response(rcode=dns.rcode.SERVFAIL)):
        with pytest.raises(DnsError, match="answer for A"):
            ask.read(response, QUESTION)


def test_a_service_that_is_not_there_has_an_empty_host():
    response = dns.message.make_response(dns.message.make_query("_sip._udp.a.example", "SRV"))
    response.answer.append(dns.rrset.from_text("_sip._udp.a.example.", 60, "IN", "SRV", "0 0 0 ."))
    assert ask.read(response, Question("_sip._udp.a.example", Kind.SRV)).records == (Srv(0, 0, 0, ""),)


GOOD = _response(("a.example.", "CNAME", "b.example."), ("b.example.", "A", "192.0.2.1")).to_wire()


def _read(wire: bytes) -> Reply | None:
    try:
        return ask.read(ask._parse(wire, QUERY), QUESTION)
    except DnsError:
        return None


def test_a_whole_answer_is_read():
    assert _read(GOOD) == Reply((Address("192.0.2.1"),), 60)


@given(st.binary(max_size=600))
def test_no_bytes_break_the_reader(wire):
    _read(wire)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=12), st.integers(0, len(GOOD)))
def test_no_broken_answer_breaks_the_reader(changes, length):
    wire = bytearray(GOOD)
    for at, byte in changes:
        wire[at] = byte
    _read(bytes(wire[:length]))
