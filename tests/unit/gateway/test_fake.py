"""The fake gateway behaves like the real one: an agent's tests can believe it."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.cdr import Cdr
from agent.core.terms import CallPhase, Tone
from agent.gateway.fake import FakeGateway, RegistrarMood
from agent.gateway.protocol import (
    AccountState,
    CallState,
    Decide,
    Hello,
    LineState,
    Release,
    decode_gateway_record,
    encode,
)


def test_a_scripted_call_tells_the_agent_its_whole_story(configuration):
    heard = []
    gateway = FakeGateway(on_record=heard.append)
    gateway.connect()
    gateway.send(configuration)
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.peer_rings(call_id)
    gateway.peer_answers(call_id)
    gateway.advance(10_000)
    gateway.hang_up()

    phases = [record.phase for record in heard if isinstance(record, CallState)]
    assert phases == [
        CallPhase.ASKED,
        CallPhase.GRANTED,
        CallPhase.RINGING,
        CallPhase.ANSWERED,
        CallPhase.ENDED,
    ]
    ended = gateway.call(call_id)
    assert ended.ended_ms - ended.answered_ms == 10_000
    assert ended.stats.codec == "PCMA"
    gateway.send(Release(call_id=call_id))
    assert gateway.calls() == []


def test_every_record_survives_the_socket(gateway):
    gateway.call_number("112")
    gateway.incoming("+4722000002")

    assert len(gateway.records) > 20
    for record in gateway.records:
        assert decode_gateway_record(encode(record)) == record


def test_call_ids_fit_the_record_of_a_call(gateway):
    pattern = msgspec.json.schema(Cdr)["$defs"]["Cdr"]["properties"]["id"]["pattern"]
    call_id = gateway.call_number("22334455")

    assert msgspec.convert(call_id, _pattern_type(pattern)) == call_id


def _pattern_type(pattern):
    from typing import Annotated

    return Annotated[str, msgspec.Meta(pattern=pattern)]


def test_a_crash_loses_the_calls_keeps_the_configuration_and_changes_the_instance(gateway):
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    before = gateway.instance

    gateway.crash()
    greeting = gateway.connect()

    hello = greeting[0]
    assert isinstance(hello, Hello)
    assert hello.instance == gateway.instance != before
    assert hello.configuration == "1"
    assert not gateway.calls()
    assert AccountState in {type(record) for record in greeting}
    assert gateway.phones[0].tone is Tone.DIAL


def test_who_connects_is_told_everything_at_once(gateway):
    call_id = gateway.call_number("22334455")
    gateway.disconnect()
    ended = gateway.call(call_id)

    greeting = gateway.connect()

    assert ended in greeting
    assert [record.line for record in greeting if isinstance(record, LineState)] == [0, 1]


def test_nobody_can_send_without_a_connection(gateway):
    gateway.disconnect()

    with pytest.raises(ConnectionError):
        gateway.send(Release(call_id="x"))


def test_an_agent_may_answer_from_inside_its_callback(configuration):
    gateway = FakeGateway()

    def decide(record):
        if isinstance(record, CallState) and record.phase is CallPhase.ASKED:
            gateway.send(Decide(call_id=record.call_id, granted=True))

    gateway = FakeGateway(on_record=decide)
    gateway.connect()
    gateway.send(configuration)

    call_id = gateway.call_number("22334455")

    assert gateway.leg(call_id).user == "+4722334455"


def test_the_same_script_gives_the_same_records(configuration):
    def script():
        gateway = FakeGateway(seed=7)
        gateway.registrar = RegistrarMood.SILENT
        gateway.connect()
        gateway.send(configuration)
        gateway.advance(600_000)
        gateway.call_number("112")
        return gateway.records

    assert script() == script()


def test_a_stopped_gateway_unregisters_and_finishes(gateway):
    gateway.stop()

    assert gateway.finished
