"""What the page says of caps, prepaid money and minute packs."""

from datetime import UTC, datetime

import msgspec
import pytest

from agent.core.terms import Cause, Direction
from agent.status.snapshot import CapView, CdrUpload, CdrView, PackView
from agent.status.view import Wording
from agent.texts import Texts

AT = datetime(2026, 11, 22, 20, tzinfo=UTC)
CDR = CdrView(
    id="x", began_at=AT, direction=Direction.OUTGOING, cause=Cause.LIMIT_REACHED, upload=CdrUpload.PENDING,
    duration_ms=179_800, limit="month", pack_s=60, paid_s=120,
)  # fmt: skip


@pytest.fixture
def say():
    return Wording(Texts.load(), "en", UTC, AT)


def test_a_call_that_a_cap_has_ended_says_which_one(say):
    assert say.cdr_cause(CDR) == "The spending limit for the month was reached"
    assert say.cdr_cause(msgspec.structs.replace(CDR, limit="")) == "The time allowed was up"


def test_a_call_says_what_came_from_a_pack_and_what_was_paid(say):
    assert say.cdr_pack(CDR) == "from minute pack 1:00, paid 2:00"
    assert say.cdr_pack(msgspec.structs.replace(CDR, pack_s=0)) == ""


def test_a_cap_says_what_is_used_of_it(say):
    used = CapView(cap="abroad", limit_micro=150_000_000, used_micro=12_500_000)
    assert say.cap(used, "NOK") == ("Abroad this month", "NOK 12.50 of NOK 150.00")
    assert say.cap(CapView(cap="call", limit_micro=50_000_000), "NOK") == ("One call", "at most NOK 50.00")


def test_a_pack_says_what_is_left_and_never_less_than_nothing(say):
    pack = PackView(name_nb="Norden", name_en="Nordic", seconds=600, used_s=90)
    assert say.pack(pack) == ("Nordic", "1:30 used, 8:30 left")
    assert say.pack(msgspec.structs.replace(pack, used_s=700))[1] == "11:40 used, 0:00 left"
