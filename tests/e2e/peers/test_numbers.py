"""Five numbers on one registration, through Kamailio: which one a call shows, and the fifth, which is refused."""

from __future__ import annotations

import re

import msgspec
import pytest

from agent.core.services import ServiceProfile
from agent.core.terms import CallPhase, Cause, Direction
from agent.gateway.protocol import Line, Route

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]


@pytest.fixture(scope="module")
def numbers(household):
    return [one.number for _ in range(3) for one in household()][:5]


@pytest.fixture(scope="module")
def shared_adapter(shared_adapter, operator, numbers):
    """One registration with five numbers: two lines, four numbers that ring, and one that is one too many."""
    agent, user = shared_adapter.agent, shared_adapter.subscribers[0].user
    for number in numbers:
        operator.route(number, f"aor:{user}")
    agent.configure(
        msgspec.structs.replace(
            agent.configuration,
            revision="office",
            lines=[Line(line=at, account=user, number=numbers[at]) for at in range(2)],
            routes=[
                *(Route(number=number, account=user, lines=[at % 2]) for at, number in enumerate(numbers[:4])),
                Route(number=numbers[4], account=user, lines=[], refused="number_over_limit"),
            ],
            services=ServiceProfile(call_as={"*73*N": numbers[3]}),
        )
    )
    assert agent.wait(lambda: any(log.detail == "office" for log in agent.logs))
    return shared_adapter


def shown(peer):
    """From and P-Preferred-Identity of the INVITE that reached the far end: their user parts."""
    head = peer.messages().partition("\r\n\r\n")[0].partition("INVITE sip:")[2] or peer.messages()
    found = [re.search(rf"^{name}:.*?sip:([^@]+)@", head, re.MULTILINE) for name in ("From", "P-Preferred-Identity")]
    return [match[1] if match else "" for match in found]


@pytest.mark.parametrize(("line", "dialled", "own"), [(0, "22000081", 0), (1, "22000082", 1), (0, "*73*22000083", 3)])
def test_a_call_shows_the_number_of_its_line_or_the_one_that_a_code_has_chosen(
    adapter, callee, numbers, line, dialled, own
):
    peer = callee("answer", dialled[-8:])
    phone = adapter.dial(dialled, line)
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    assert (call.own_number, call.account) == (numbers[own], adapter.subscribers[0].user)
    assert shown(peer) == [adapter.subscribers[0].user, numbers[own]]
    phone.on_hook()
    peer.finish()


@pytest.mark.parametrize("at", range(4))
def test_each_of_four_numbers_rings_its_line(adapter, caller, numbers, at):
    peer = caller("call_and_cancel", numbers[at])
    assert adapter.phones[at % 2].wait_for(lambda: adapter.phones[at % 2].ringing, 10)
    assert not adapter.phones[1 - at % 2].ringing
    peer.finish()
    ended = adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ENDED)
    assert (ended.own_number, ended.cause) == (numbers[at], Cause.CANCELLED)


def test_the_fifth_number_is_refused_with_its_reason_and_no_telephone_rings(adapter, caller, numbers):
    peer = caller("call_nobody", numbers[4])
    peer.finish()
    ended = adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ENDED)
    assert (ended.own_number, ended.cause, ended.refusal) == (numbers[4], Cause.REFUSED, "number_over_limit")
    assert ended.sip_code == 404
    assert not any(phone.ringing for phone in adapter.phones)
    assert [log.detail for log in adapter.agent.logs if log.event == "number_refused"] == ["number_over_limit"]
