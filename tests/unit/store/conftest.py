"""Calls and records for the store's tests."""

import uuid

import pytest

from agent.core.cdr import Cdr, OpenCall, Price, Step
from agent.core.terms import CallKind, Cause, Direction, Party


def call_id(number):
    return str(uuid.UUID(int=number))


def make_open_call(number=1, **changes):
    fields = {
        "id": call_id(number),
        "instance": "gateway-1",
        "direction": Direction.OUTGOING,
        "kind": CallKind.ORDINARY,
        "line": 0,
        "account": "privat",
        "own_number": "+4722000001",
        "number": "+4791000000",
        "boot_id": "boot-1",
        "began_ms": 1000,
        "began_at": "2026-03-01T12:00:00Z",
        "time_trusted": True,
        "last_alive_ms": 1000,
    }
    return OpenCall(**(fields | changes))


def make_price(amount_micro=1_250_000, currency="NOK"):
    return Price(
        product="privat",
        price_list="privat",
        version="7",
        prefix="479",
        destination="Norway mobile",
        currency=currency,
        vat="included",
        amount_micro=amount_micro,
        exact=f"{amount_micro}/1000000",
        billed_s=60,
        steps=[Step(key="price.per_minute", values={"rate": "0.49"})],
    )


def make_cdr(number=1, **changes):
    fields = {
        "id": call_id(number),
        "direction": Direction.OUTGOING,
        "kind": CallKind.ORDINARY,
        "line": 0,
        "account": "privat",
        "own_number": "+4722000001",
        "number": "+4791000000",
        "boot_id": "boot-1",
        "began_ms": 1000,
        "began_at": "2026-03-01T12:00:00Z",
        "answered_at": "2026-03-01T12:00:05Z",
        "time_trusted": True,
        "duration_ms": 60_001,
        "setup_ms": 5000,
        "cause": Cause.NORMAL,
        "released_by": Party.LOCAL,
        "price": make_price(),
    }
    return Cdr(**(fields | changes))


class Records:
    """The makers, in one fixture."""

    call_id = staticmethod(call_id)
    open_call = staticmethod(make_open_call)
    price = staticmethod(make_price)
    cdr = staticmethod(make_cdr)


@pytest.fixture(scope="session")
def records():
    return Records


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"
