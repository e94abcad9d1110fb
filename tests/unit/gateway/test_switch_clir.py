"""Whose number the called party does not see."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.actions import Invite
from agent.core.call import Call
from agent.core.race import Attempt
from agent.core.terms import CallKind, Direction
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import Configure, Decide


@pytest.fixture
def secretive(gateway: FakeGateway, configuration: Configure) -> FakeGateway:
    """Line 0 withholds its number, line 1 does not."""
    first, second = configuration.lines
    lines = [msgspec.structs.replace(first, clir=True), second]
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=lines))
    return gateway


@pytest.mark.parametrize(("line", "withheld"), [(0, True), (1, False)])
def test_a_line_withholds_its_number_as_it_is_set(secretive, line, withheld):
    call_id = secretive.call_number("22334455", line)
    secretive.send(Decide(call_id=call_id, granted=True))
    assert secretive.leg(call_id).withheld is withheld
    assert secretive.call(call_id).own_number == f"+472200000{line + 1}"


def test_an_emergency_call_always_shows_who_calls(secretive):
    call_id = secretive.call_number("112")
    secretive.advance(2000)
    assert secretive.leg(call_id).emergency
    assert not secretive.leg(call_id).withheld


@pytest.mark.parametrize(("kind", "withheld"), [(CallKind.ORDINARY, True), (CallKind.EMERGENCY, False)])
def test_the_operator_gets_the_number_that_others_do_not(kind, withheld):
    call = Call(
        "c", Direction.OUTGOING, kind, account="a", number="+47112", own_number="+4722000001", now=0, lines=(0,),
        attempts=[Attempt("a", 0, "22334455")], withhold=True, own_user="22000001",
    )  # fmt: skip
    (invite,) = [one for one in call.start(0) if isinstance(one, Invite)]
    # A call for help shows it to everybody; which number it is, the operator is told in any case.
    assert (invite.withhold, invite.own_user) == (withheld, "22000001")
