"""What records mean, without asking anybody."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.target import parse_target
from agent.core.transports import Transport
from agent.net.answers import MAX_STALE_S, MIN_TTL_S, Answers
from agent.net.memory import Memory
from agent.net.names import (
    MAX_TARGETS,
    Address,
    Kind,
    Naptr,
    Question,
    Srv,
    TargetError,
    expand,
    merge,
    order,
    parse_spec,
)
from agent.net.sources import Sources, parse_server


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "sip:a",
        "a:0",
        "a:99999",
        "a;transport=sctp",
        "-a.example",
        "a..example",
        "[::1",
        "a/b",
        "a@b.example;transport=tls",
        "a.example@192.0.2.1",
        "a.example@192.0.2.1;transport=tcp",
        "-a@192.0.2.1;transport=tls",
        "x" * 300,
    ],
)
def test_a_target_that_cannot_be_is_refused_by_name(text):
    with pytest.raises(TargetError, match="target"):
        parse_spec(text)


UDP, TCP, TLS = Transport
_A = {Question("a.example", Kind.A): [Address("192.0.2.1")], Question("a.example", Kind.AAAA): []}


def _expand(text, known, transports=(UDP,)):
    found = expand(parse_spec(text), known, lambda name: 0.5, transports)
    assert not found.wanted
    return list(found.targets)


def test_naptr_says_in_which_order_and_tls_keeps_the_name_that_was_asked_for():
    known = {
        Question("a.example", Kind.NAPTR): [
            Naptr(20, 1, "s", "SIP+D2U", "_sip._udp.a.example"),
            Naptr(10, 1, "s", "SIPS+D2T", "_sips._tcp.elsewhere.example"),
            Naptr(20, 2, "a", "SIP+D2T", "b.example"),
            Naptr(5, 1, "s", "SIP+D2S", "_sip._sctp.a.example"),
        ],
        Question("_sips._tcp.elsewhere.example", Kind.SRV): [Srv(1, 1, 5071, "b.example")],
        Question("_sip._udp.a.example", Kind.SRV): [Srv(1, 1, 5070, "b.example")],
        Question("b.example", Kind.A): [Address("192.0.2.2")], Question("b.example", Kind.AAAA): [],
    }  # fmt: skip
    assert _expand("a.example", known) == [
        "a.example@192.0.2.2:5071;transport=tls",
        "192.0.2.2:5070;transport=udp",
        "192.0.2.2:5060;transport=tcp",
    ]


def test_without_naptr_the_operators_transports_are_looked_for_in_their_order():
    known = {
        **_A,
        Question("a.example", Kind.NAPTR): [],
        Question("_sips._tcp.a.example", Kind.SRV): [],
        Question("_sip._tcp.a.example", Kind.SRV): [Srv(1, 1, 5070, "a.example")],
        Question("_sip._udp.a.example", Kind.SRV): [Srv(1, 1, 5072, "a.example")],
    }
    assert _expand("a.example", known, (TLS, TCP, UDP)) == [
        "192.0.2.1:5070;transport=tcp", "192.0.2.1:5072;transport=udp",
    ]  # fmt: skip
    assert _expand("a.example", known) == ["192.0.2.1:5072;transport=udp"]
    none = {question: [] if question.kind is Kind.SRV else records for question, records in known.items()}
    assert _expand("a.example", none, (TLS, UDP)) == [
        "a.example@192.0.2.1:5061;transport=tls", "192.0.2.1:5060;transport=udp",
    ]  # fmt: skip


def test_an_address_has_the_operators_transports_and_a_port_belongs_to_the_first():
    assert _expand("192.0.2.1", {}, (TLS, UDP)) == ["192.0.2.1:5061;transport=tls", "192.0.2.1:5060;transport=udp"]
    assert _expand("192.0.2.1:5080", {}, (TCP, UDP)) == ["192.0.2.1:5080;transport=tcp"]
    assert _expand("192.0.2.1;transport=udp", {}, (TCP,)) == ["192.0.2.1:5060;transport=udp"]
    assert _expand("a.example:5080", _A, (TLS,)) == ["a.example@192.0.2.1:5080;transport=tls"]
    named = "a.example@192.0.2.9:5061;transport=tls"
    assert _expand(named, {}) == [named]


def test_srv_priorities_are_kept_and_weights_shared_out():
    records = [Srv(20, 9, 1, "spare"), Srv(10, 75, 1, "big"), Srv(10, 25, 1, "small"), Srv(10, 0, 1, "none")]
    uniform = random.Random(7).random
    firsts = Counter(order(records, lambda one: uniform())[0].host for _ in range(4000))
    assert 0.72 < firsts["big"] / 4000 < 0.78
    assert firsts["big"] + firsts["small"] == 4000
    assert order(records, lambda one: uniform())[-1].host == "spare"


def test_one_adapter_keeps_its_order_and_two_differ(tmp_path):
    records = [Srv(10, 10, 1, f"h{at}") for at in range(8)]
    one, other = Memory(tmp_path / "a"), Memory(tmp_path / "b")
    one.save([])
    again = Memory(tmp_path / "a")
    again.load()

    def ordered(memory):
        return order(records, lambda record: memory.draw(record.host))

    assert ordered(one) == ordered(one) == ordered(again)
    assert ordered(one) != ordered(other)


def test_a_service_that_is_decidedly_not_there_has_no_targets():
    known = {Question("a.example", Kind.NAPTR): [], Question("_sip._udp.a.example", Kind.SRV): [Srv(0, 0, 0, "")]}
    assert expand(parse_spec("a.example"), known, lambda name: 0.5).targets == ()
    assert expand(parse_spec("a.example"), known, lambda name: 0.5).wanted == frozenset()


_NAMES = st.sampled_from(
    ["a.example", "b.example", "_sip._udp.a.example", "_sips._tcp.a.example", "_sip._tcp.b.example", ""]
)
_RDATA = st.one_of(
    st.builds(Naptr, st.integers(0, 3), st.integers(0, 3), st.sampled_from(["s", "a", "u", "", "S"]),
              st.sampled_from(["SIP+D2U", "sip+d2t", "SIPS+D2T", "x"]), _NAMES),
    st.builds(Srv, st.integers(0, 3), st.integers(0, 65_535), st.integers(0, 65_535), _NAMES),
    st.builds(Address, st.ip_addresses().map(str)),
)  # fmt: skip
_KNOWN = st.dictionaries(st.builds(Question, _NAMES, st.sampled_from(Kind)), st.lists(_RDATA, max_size=30), max_size=12)


@given(
    st.lists(st.sampled_from(["a.example", "b.example:5070", "a.example;transport=tls", "192.0.2.1"])), _KNOWN,
    st.permutations(list(Transport)),
)  # fmt: skip
def test_whatever_records_there_are_the_questions_come_to_an_end(texts, records, transports):
    known = {}
    for _ in range(6):
        found = merge([expand(parse_spec(text), known, lambda name: 0.5, transports) for text in texts])
        if not found.wanted:
            break
        assert not found.wanted & known.keys()
        known.update({question: records.get(question, []) for question in found.wanted})
    else:
        raise AssertionError(found)
    assert len(found.targets) <= MAX_TARGETS
    assert all(parse_spec(target).address and parse_target(target).address for target in found.targets)


def test_answers_grow_old_and_serve_until_they_are_too_old():
    question = Question("a.example", Kind.A)
    answers = Answers()
    answers.learn(question, [Address("192.0.2.1")], 0, 1000.0)
    assert answers.fresh(question, 1000.0 + MIN_TTL_S - 1) is not None
    assert answers.fresh(question, 1000.0 + MIN_TTL_S) is None
    assert answers.stale(question, 1000.0 + MAX_STALE_S - 1) is not None
    assert answers.stale(question, 1000.0 + MAX_STALE_S) is None


def test_a_clock_that_was_set_back_loses_no_answer():
    question = Question("a.example", Kind.A)
    answers = Answers()
    answers.learn(question, [Address("192.0.2.1")], 300, 2_000_000_000.0)
    assert answers.fresh(question, 1000.0) is None
    assert answers.stale(question, 1000.0) is not None


def test_what_was_kept_comes_back_and_a_damaged_file_is_no_file(tmp_path):
    path = tmp_path / "targets.json"
    answers = Answers()
    answers.learn(Question("a.example", Kind.A), [Address("192.0.2.1")], 300, 1000.0)
    answers.learn(Question("s.example", Kind.SRV), [Srv(1, 2, 3, "a.example")], 300, 1000.0)
    answers.learn(Question("n.example", Kind.NAPTR), [Naptr(1, 2, "s", "SIP+D2U", "s.example")], 300, 1000.0)
    answers.learn(Question("none.example", Kind.A), [], 300, 1000.0)
    Memory(path).save(answers.all())
    assert Memory(path).load() == answers.all()
    assert len(Memory(path).load()) == 3
    for body in (b"", b"{", b'{"seed":1,"answers":[{"name":1}]}', b"\xff\xfe"):
        path.write_bytes(body)
        assert Memory(path).load() == []


@given(st.binary(max_size=300))
def test_no_resolv_conf_breaks_the_reader(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("resolv") / "resolv.conf"
    path.write_bytes(body)
    assert Sources(path, []).servers() in ([], Sources(path, []).servers())


def test_the_networks_own_servers_come_first_and_none_twice(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\n#nameserver 192.0.2.54\nnameserver fe80::1%eth0\nnameserver 9.9.9.9\n")
    spare = [parse_server("9.9.9.9"), parse_server("[2001:db8::53]:5353")]
    groups = [[str(server) for server in group] for group in Sources(path, spare).servers()]
    assert groups == [["192.0.2.53:53", "[fe80::1%eth0]:53", "9.9.9.9:53"], ["[2001:db8::53]:5353"]]
    assert parse_server("ns.example") is None
    assert parse_server("192.0.2.1:0") is None
