"""Several numbers on one registration: which one the operator is told, and what rings for a number that is none."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.terms import CallKind, Cause, Direction
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import Configure, Decide, Log, Route

FIRST, SECOND, FIFTH = "+4721000001", "+4721000002", "+4721000005"


@pytest.fixture
def office(configuration: Configure) -> FakeGateway:
    """Two lines with a number each on one registration, and a fifth number that the product does not allow."""
    lines = [
        msgspec.structs.replace(line, account="home", number=number)
        for line, number in zip(configuration.lines, (FIRST, SECOND), strict=True)
    ]
    routes = [
        Route(number=FIRST, account="home", lines=[0]),
        Route(number=SECOND, account="home", lines=[1]),
        Route(number=FIFTH, account="home", lines=[], refused="number_over_limit"),
    ]
    gateway = FakeGateway()
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, lines=lines, routes=routes))
    return gateway


def _leg(gateway: FakeGateway, number: str, line: int = 0):
    call = gateway.call_number(number, line)
    if number != "112":
        gateway.send(Decide(call_id=call, granted=True))
    return gateway.leg(call)


@pytest.mark.parametrize(("line", "user"), [(0, "+4721000001"), (1, "+4721000002")])
def test_the_operator_is_told_which_of_its_numbers_a_call_is_from(office, line, user):
    leg = _leg(office, "22334455", line)
    assert (leg.account, leg.own_user) == ("home", user)


def test_a_call_for_help_says_so_too_but_only_to_the_operator_who_gave_the_number(office):
    office.mute_targets = {("home", 0), ("home", 1), ("other", 0)}
    call = office.call_number("112")
    office.advance(600)
    told = []
    for _ in range(3):
        leg = office.leg(call)
        told.append((leg.account, leg.own_user))
        office.peer_is_silent(call)
    assert told == [("home", FIRST), ("home", FIRST), ("other", "")]


def test_where_the_registration_has_one_number_it_says_that_itself(configuration, gateway):
    line = configuration.lines[0]
    alone = msgspec.structs.replace(
        configuration,
        revision="alone",
        lines=[line],
        routes=[Route(number=line.number, account=line.account, lines=[0])],
    )
    gateway.send(alone)
    assert _leg(gateway, "22334455").own_user == ""


def test_a_number_that_the_product_does_not_allow_rings_nowhere_and_says_why(office):
    call = office.incoming(FIFTH, bound=True)
    ended = office.call(call)
    assert not any(phone.ringing for phone in office.phones)
    assert (ended.direction, ended.kind, ended.cause) == (Direction.INCOMING, CallKind.ORDINARY, Cause.REFUSED)
    assert (ended.refusal, ended.sip_code, ended.own_number) == ("number_over_limit", 404, FIFTH)
    logs = [log for log in office.records if isinstance(log, Log) and log.event == "number_refused"]
    assert [(log.level, log.detail, log.call_id) for log in logs] == [("warning", "number_over_limit", call)]


@pytest.mark.parametrize(("number", "line"), [(FIRST, 0), (SECOND, 1)])
def test_the_others_go_on(office, number, line):
    office.incoming(number, bound=True)
    assert [phone.ringing for phone in office.phones] == [line == 0, line == 1]


def test_a_call_that_names_no_number_of_ours_rings_what_the_registration_has(office):
    call = office.incoming("", account="home", bound=True)
    assert [phone.ringing for phone in office.phones] == [True, True]
    assert office.call(call).own_number == ""


# --- another own number by code --------------------------------------------------------------------------------------

CODES = {"*71*N": SECOND, "*75*N": "+4722000009"}


@pytest.fixture
def choosy(configuration: Configure) -> FakeGateway:
    """One line whose user may call from a number of its own registration, or from one of another registration."""
    routes = [
        Route(number=FIRST, account="home", lines=[0]),
        Route(number=SECOND, account="home", lines=[1]),
        Route(number="+4722000009", account="other", lines=[0]),
        Route(number=FIFTH, account="home", lines=[], refused="number_over_limit"),
    ]
    line = msgspec.structs.replace(configuration.lines[0], account="home", number=FIRST)
    services = msgspec.structs.replace(configuration.services, call_as={**CODES, "*76*N": FIFTH})
    gateway = FakeGateway()
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, lines=[line], routes=routes, services=services))
    return gateway


@pytest.mark.parametrize(
    ("dialled", "account", "own_number", "shown"),
    [
        ("22334455", "home", FIRST, FIRST),
        ("*71*22334455", "home", SECOND, SECOND),
        # The only number of its registration: From says it.
        ("*75*22334455", "other", "+4722000009", ""),
        ("*71*004681234567#", "home", SECOND, SECOND),
        # What the product does not allow cannot be called from.
        ("*76*22334455", "home", FIRST, FIRST),
    ],
)
def test_a_code_chooses_the_number_that_one_call_is_from(choosy, dialled, account, own_number, shown):
    call = choosy.call_number(dialled)
    asked = choosy.call(call)
    assert (asked.own_number, asked.number) == (own_number, "+4681234567" if "#" in dialled else "+4722334455")
    choosy.send(Decide(call_id=call, granted=True))
    leg = choosy.leg(call)
    assert (leg.account, leg.own_user) == (account, shown)


def test_the_next_call_is_from_the_lines_own_number_again(choosy):
    choosy.call_number("*75*22334455")
    choosy.hang_up()
    assert choosy.call(choosy.call_number("22334455")).own_number == FIRST


def test_help_is_called_from_the_lines_own_number_whatever_code_comes_before_it(choosy):
    call = choosy.call(choosy.call_number("*75*112"))
    assert (call.kind, call.own_number, call.number) == (CallKind.EMERGENCY, FIRST, "112")
