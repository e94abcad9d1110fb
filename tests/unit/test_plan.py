"""What the customer has, put to work: the telephone's configuration, admission, and price."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.clock import Moment
from agent.core.cdr import OpenCall
from agent.core.services import Service, ServiceCodes, ServiceMode
from agent.core.terms import CallKind, CallPhase, Direction, LineProfile, LineService
from agent.data import load_numbering, load_products, load_tones
from agent.gateway.protocol import CallState
from agent.operator.api import (
    EndedLine,
    FileInfo,
    MinutePack,
    Number,
    OutgoingLine,
    PackName,
    Registration,
    ServiceSettings,
    SipProfile,
    Subscription,
)
from agent.paths import data_dir
from agent.plan import MAX_ACCOUNTS, Plan, Shipped
from agent.rating.deck import load, parse
from agent.rating.errors import TableError
from agent.rating.table import RateTable

NOW = Moment("boot", 5_000_000, datetime(2026, 11, 22, 20, tzinfo=UTC), True)


def registration(name: str) -> Registration:
    return Registration(
        id=name, user=name, domain="sip.example", auth_user=name, password="long-enough", targets=["192.0.2.1:5060"]
    )


def subscription(product: str = "privat", *, lines: int = 2, numbers: int = 2, active: bool = True) -> Subscription:
    names = [f"line{n}" for n in range(max(lines, numbers))]
    return Subscription(
        revision="1", customer="Nordmann", product=product, registrations=[registration(name) for name in names],
        numbers=[
            Number(number=f"+472100000{n}", registration=f"line{n}", lines=[n] if n < lines else [])
            for n in range(numbers)
        ],
        lines=[OutgoingLine(line=n, registration=f"line{n}", number=f"+472100000{n}") for n in range(lines)],
        price_list=FileInfo(name="price-list-privat", version="1", length=1, sha256="0" * 64), active=active,
    )  # fmt: skip


@pytest.fixture(scope="module")
def table() -> RateTable:
    return RateTable.of(load(data_dir() / "price-lists/privat.csv"))


@pytest.fixture(scope="module")
def business_table() -> RateTable:
    return RateTable.of(load(data_dir() / "price-lists/bedrift.csv"))


def missing(sha256: str) -> RateTable:
    raise TableError(f"{sha256[:8]} is gone")


@pytest.fixture
def plan() -> Plan:
    shipped = Shipped(load_products(), load_numbering(), load_tones())
    return Plan(shipped, ZoneInfo("Europe/Oslo"), missing)


def asked(number: str, line: int = 0) -> CallState:
    return CallState(
        call_id="a", direction=Direction.OUTGOING, kind=CallKind.ORDINARY, phase=CallPhase.ASKED, line=line,
        number=number, own_number=f"+472100000{line}", asked_ms=4_999_000,
    )  # fmt: skip


def test_a_privat_subscription_gives_two_lines_that_may_call_sweden(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.use_table(table, "t")
    for line in (0, 1):
        decision = plan.judge(asked("+4681234567", line), NOW).decision
        assert decision.granted
        assert decision.until_ms is not None
        assert decision.until_ms > NOW.boot_ms
        assert decision.warn_at_ms is not None
        assert NOW.boot_ms < decision.warn_at_ms < decision.until_ms


def test_a_third_line_is_refused_while_the_first_two_work(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(lines=3, numbers=2), NOW)
    plan.use_table(table, "t")
    assert [part.code.value for part in plan.refused] == ["too_many_lines"]
    assert [plan.judge(asked("+4681234567", n), NOW).decision.granted for n in range(3)] == [True, True, False]
    configuration = plan.configuration()
    assert configuration is not None
    assert [line.line for line in configuration.lines] == [0, 1]


def test_what_is_connected_to_a_line_and_its_gains_reach_the_gateway(plan):
    held = subscription()
    fax = msgspec.structs.replace(
        held.lines[1], profile=LineProfile.FAX, send_gain_ddb=-30, receive_gain_ddb=15, clir=True
    )
    plan.use_subscription(msgspec.structs.replace(held, lines=[held.lines[0], fax]), NOW)
    first, second = plan.configuration().lines
    assert (first.profile, first.send_gain_ddb, first.receive_gain_ddb) == (LineProfile.PHONE, 0, 0)
    assert (second.profile, second.send_gain_ddb, second.receive_gain_ddb) == (LineProfile.FAX, -30, 15)
    assert (first.clir, second.clir) == (False, True)


def test_codecs_are_the_profiles_or_the_registrations_own(plan):
    held = subscription()
    first, *rest = held.registrations
    own = msgspec.structs.replace(first, codecs=["G722", "PCMA"])
    profile = SipProfile(codecs=["PCMU"], rtp_stat=True)
    plan.use_subscription(msgspec.structs.replace(held, registrations=[own, *rest], profile=profile), NOW)
    configuration = plan.configuration()
    assert [account.codecs for account in configuration.accounts] == [["G722", "PCMA"], *[["PCMU"]] * len(rest)]
    assert configuration.rtp_stat


def test_an_operator_that_lists_no_codec_gets_g711_and_no_statistics_in_byes(plan):
    plan.use_subscription(msgspec.structs.replace(subscription(), profile=SipProfile(codecs=[])), NOW)
    configuration = plan.configuration()
    assert {tuple(account.codecs) for account in configuration.accounts} == {("PCMA", "PCMU")}
    assert not configuration.rtp_stat


def test_where_the_operator_speaks_from_reaches_the_gateway(plan):
    plan.use_subscription(
        msgspec.structs.replace(
            subscription(), profile=SipProfile(signalling_ranges=["192.0.2.0/24"], media_ranges=["2001:db8::/32"])
        ),
        NOW,
    )
    configuration = plan.configuration()
    assert configuration.signalling_ranges == ["192.0.2.0/24"]
    assert configuration.media_ranges == ["2001:db8::/32"]


def test_how_calls_are_held_alive_and_whom_the_operator_may_name_reach_the_gateway(plan):
    profile = SipProfile(rtp_timeout_s=60, session_s=0, trust_identity=True, mailbox=True)
    plan.use_subscription(msgspec.structs.replace(subscription(), profile=profile), NOW)
    configuration = plan.configuration()
    assert configuration.rtp_timeout_s == 60
    assert {(one.session_s, one.trust_identity, one.mailbox) for one in configuration.accounts} == {(0, True, True)}


def test_without_a_word_of_the_operator_nobody_is_believed_and_no_mailbox_asked(plan):
    plan.use_subscription(msgspec.structs.replace(subscription(), profile=SipProfile()), NOW)
    configuration = plan.configuration()
    assert configuration.rtp_timeout_s == 30
    assert {(one.session_s, one.trust_identity, one.mailbox) for one in configuration.accounts} == {
        (1800, False, False)
    }  # fmt: skip


@pytest.mark.parametrize("session_s", [1, 89])
def test_a_session_interval_that_is_too_short_is_refused_with_its_name(session_s):
    body = msgspec.json.encode(msgspec.structs.replace(subscription(), profile=SipProfile(session_s=90)))
    assert msgspec.json.decode(body, type=Subscription).profile.session_s == 90
    with pytest.raises(msgspec.ValidationError, match=rf"session_s is {session_s}, which has .*`\$\.profile`"):
        msgspec.json.decode(body.replace(b'"session_s":90', b'"session_s":%d' % session_s), type=Subscription)


def test_a_subscription_with_a_range_that_is_none_says_which():
    body = msgspec.json.encode(
        msgspec.structs.replace(subscription(), profile=SipProfile(media_ranges=["192.0.2.0/24"]))
    )
    assert msgspec.json.decode(body, type=Subscription).profile.media_ranges == ["192.0.2.0/24"]
    with pytest.raises(msgspec.ValidationError, match=r"'192\.0\.2\.9/24' has bits .*`\$\.profile`"):
        msgspec.json.decode(body.replace(b"192.0.2.0/24", b"192.0.2.9/24"), type=Subscription)


def test_the_stun_server_reaches_the_gateway_and_without_one_nobody_is_asked(plan):
    plan.use_subscription(subscription(), NOW)
    assert plan.configuration().stun_server == ""
    profile = SipProfile(stun_server="192.0.2.1:3478")
    plan.use_subscription(msgspec.structs.replace(subscription(), profile=profile), NOW)
    assert plan.configuration().stun_server == "192.0.2.1:3478"


@pytest.mark.parametrize("text", ["stun.example.net:3478", "192.0.2.1:0", "2001:db8::1:3478"])
def test_a_subscription_with_a_stun_server_that_is_none_says_so(text):
    body = msgspec.json.encode(
        msgspec.structs.replace(subscription(), profile=SipProfile(stun_server="192.0.2.1:3478"))
    )
    with pytest.raises(msgspec.ValidationError, match=rf"stun_server '{re.escape(text)}' .*`\$\.profile`"):
        msgspec.json.decode(body.replace(b"192.0.2.1:3478", text.encode()), type=Subscription)


def test_a_fifth_business_number_is_refused_while_four_ring(plan: Plan, business_table: RateTable) -> None:
    plan.use_subscription(subscription("bedrift", lines=1, numbers=5), NOW)
    plan.use_table(business_table, "t")
    assert [part.code.value for part in plan.refused] == ["too_many_numbers"]
    configuration = plan.configuration()
    assert configuration is not None
    ringing = [route.number for route in configuration.routes if not route.refused]
    assert ringing == [f"+472100000{n}" for n in range(4)]


@pytest.mark.parametrize(
    ("prepare", "number", "refusal"),
    [
        (lambda plan, table: None, "+4681234567", "no_subscription"),
        (lambda plan, table: plan.use_subscription(subscription(), NOW), "+4681234567", "no_price_list"),
        (
            lambda plan, table: (plan.use_subscription(subscription(active=False), NOW), plan.use_table(table, "t")),
            "+4681234567",
            "subscription_inactive",
        ),
        (
            lambda plan, table: (plan.use_subscription(subscription("gold"), NOW), plan.use_table(table, "t")),
            "+4681234567",
            "no_subscription",
        ),
        (
            lambda plan, table: (plan.use_subscription(subscription("bedrift"), NOW), plan.use_table(table, "t")),
            "+4681234567",
            "no_price_list",
        ),
    ],
    ids=["nothing known", "no price list", "ended", "unknown product", "another product's price list"],
)
def test_ordinary_calls_are_refused_with_their_reason_and_emergency_calls_never(
    plan: Plan, table: RateTable, prepare: Callable[[Plan, RateTable], object], number: str, refusal: str
) -> None:
    prepare(plan, table)
    assert plan.judge(asked(number), NOW).decision.refusal == refusal
    for emergency in ("110", "112", "113", "1412"):
        assert plan.judge(asked(emergency), NOW).decision.granted


def opened(sha256: str) -> OpenCall:
    return OpenCall(
        id="a", instance="g", direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="line0",
        own_number="+4721000000", number="+4681234567", boot_id="boot", began_ms=0, began_at="2026-11-22T20:00:00Z",
        time_trusted=True, last_alive_ms=0, product="privat", price_list_sha256=sha256,
    )  # fmt: skip


def test_a_call_without_its_price_list_is_unpriced_and_never_free(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.use_table(table, "new")
    assert plan.price(opened("old"), 10_000) == (None, "old is gone")
    assert plan.price(opened(""), 10_000)[0] is None
    price, why = plan.price(opened("new"), 10_000)
    assert price is not None
    assert price.amount_micro > 0
    assert why == ""


EVENING = """# price_list: privat
# product: privat
# currency: NOK
# vat: included
# version: 1
# valid_from: 2026-01-01
# rounding: half_up
# decimals: 4
# seconds: up
prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when
46,Sverige,0,,,,,,
46,Sverige,0,1.00,60,1,,,
"""


def evening_table() -> RateTable:
    """Free from 21:00 civil time, one krone a minute before."""
    return RateTable.of(parse(EVENING.replace("46,Sverige,0,,,,,,", "46,Sverige,0,0,60,1,,,21:00-24:00"), "x.csv"))


def test_a_call_is_priced_from_its_answer_by_the_civil_hour(plan: Plan) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.use_table(evening_table(), "t")
    # Asked at 20:59 in Oslo, answered half a minute later: 30 s cost, the rest is free.
    call = msgspec.structs.replace(
        opened("t"), began_ms=1_000, began_at="2026-11-22T19:59:00.000Z", answered_ms=31_000, last_alive_ms=31_000
    )
    price, _ = plan.price(call, 60_000)
    assert price is not None
    assert (price.amount_micro, price.paid_s, price.billed_s) == (500_000, 30, 60)


def test_a_destination_is_admitted_by_the_row_of_the_moment(plan: Plan) -> None:
    blocked = EVENING.replace("46,Sverige,0,,,,,,", "46,Sverige,,blocked,,,,,21:00-24:00")
    plan.use_subscription(subscription(), NOW)
    plan.use_table(RateTable.of(parse(blocked, "x.csv")), "t")
    assert plan.judge(asked("+4681234567"), NOW).decision.refusal == "blocked_destination"
    earlier = Moment("boot", 5_000_000, datetime(2026, 11, 22, 19, 30, tzinfo=UTC), True)
    assert plan.judge(asked("+4681234567"), earlier).decision.granted


def test_the_revision_changes_with_the_content_and_only_with_it(plan: Plan) -> None:
    plan.use_subscription(subscription(), NOW)
    first = plan.configuration()
    plan.use_subscription(msgspec.structs.replace(subscription(), revision="2", customer="Someone"), NOW)
    second = plan.configuration()
    changed = subscription()
    plan.use_subscription(
        msgspec.structs.replace(changed, registrations=[registration("line0"), registration("other")]), NOW
    )
    third = plan.configuration()
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.revision == second.revision != third.revision


def test_a_fifth_business_number_gets_a_route_that_rings_nowhere_and_the_four_work(plan: Plan) -> None:
    held = subscription("bedrift", lines=2, numbers=5)
    plan.use_subscription(held, NOW)
    assert [part.code.value for part in plan.refused] == ["too_many_numbers"]
    *works, refused = plan.configuration().routes
    assert [(route.number, route.refused) for route in works] == [(one.number, "") for one in held.numbers[:4]]
    assert (refused.number, refused.lines, refused.refused) == (held.numbers[4].number, [], "number_over_limit")


def test_codes_choose_among_the_numbers_that_the_product_allows(plan: Plan) -> None:
    held = subscription("bedrift", lines=1, numbers=5)
    coded = [msgspec.structs.replace(one, code=f"*7{at}*N") for at, one in enumerate(held.numbers)]
    plan.use_subscription(msgspec.structs.replace(held, numbers=coded), NOW)
    assert plan.configuration().services.call_as == {f"*7{at}*N": f"+472100000{at}" for at in range(4)}


def test_a_number_that_was_given_up_rings_nowhere(plan: Plan) -> None:
    held = subscription("bedrift", lines=2, numbers=3)
    gone = msgspec.structs.replace(held.numbers[1], last_day=date(2026, 1, 31))
    plan.use_subscription(msgspec.structs.replace(held, numbers=[held.numbers[0], gone, held.numbers[2]]), NOW)
    routes = plan.configuration().routes
    assert [route.refused for route in routes] == ["", "", "number_ended"]
    assert (routes[-1].number, routes[-1].lines) == (gone.number, [])


def test_more_registrations_than_the_library_carries_are_left_out_by_name(plan: Plan) -> None:
    plan.use_subscription(subscription("sentralbord", lines=0, numbers=10), NOW)
    configuration = plan.configuration()
    assert configuration is not None
    assert len(configuration.accounts) == MAX_ACCOUNTS
    assert plan.surplus_registrations() == ["line8", "line9"]


def test_own_emergency_numbers_join_the_built_in_ones() -> None:
    shipped = Shipped(load_products(), load_numbering(), load_tones(), frozenset({"2222"}))
    plan = Plan(shipped, ZoneInfo("Europe/Oslo"), missing)
    plan.use_subscription(subscription(), NOW)
    configuration = plan.configuration()
    assert configuration is not None
    assert {"110", "112", "113", "1412", "2222"} <= set(configuration.digit_map.emergency)


def test_under_an_unknown_product_the_telephone_still_rings(plan: Plan) -> None:
    plan.use_subscription(subscription("gold"), NOW)
    configuration = plan.configuration()
    assert configuration is not None
    assert [line.line for line in configuration.lines] == [0, 1]
    assert [route.lines for route in configuration.routes] == [[0], [1]]
    assert plan.unknown_product == "gold"


# --- products that end, and notice ------------------------------------------------------------------------------------

BEFORE, AFTER = (
    Moment("boot", 5_000_000, datetime.fromisoformat(at), True)
    for at in ("2018-12-31T22:59:59.999+00:00", "2018-12-31T23:00:00+00:00")
)


def test_at_midnight_in_oslo_the_old_product_gives_way_to_the_new(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription("iplink-topp"), BEFORE)
    plan.use_table(table, "t")
    assert plan.basis() == ("iplink-topp", "t")
    assert plan.judge(asked("+4681234567"), BEFORE).decision.refusal == "no_price_list"
    judgement = plan.judge(asked("+4681234567"), AFTER)
    assert (judgement.product, judgement.decision.granted) == ("privat", True)
    assert plan.basis() == ("privat", "t")


def test_the_day_turns_once(plan: Plan) -> None:
    plan.use_subscription(subscription("iplink-topp"), BEFORE)
    assert [plan.turn(moment) for moment in (BEFORE, AFTER, AFTER)] == [False, True, False]


@pytest.mark.parametrize(
    ("numbers", "given_up", "product"), [(4, 0, "bedrift"), (5, 0, "sentralbord"), (6, 2, "bedrift")]
)
def test_business_customers_get_what_their_numbers_ask_for(
    plan: Plan, numbers: int, given_up: int, product: str
) -> None:
    held = subscription("iplink-bedrift-pluss", lines=1, numbers=numbers)
    kept = numbers - given_up
    for number in held.numbers[kept:]:
        held.numbers[held.numbers.index(number)] = msgspec.structs.replace(number, notice=date(2018, 12, 20))
    plan.use_subscription(held, BEFORE)
    before = plan.configuration()
    plan.turn(AFTER)
    after = plan.configuration()
    assert before is not None
    assert after is not None
    assert [len([route for route in one.routes if not route.refused]) for one in (before, after)] == [numbers, kept]
    assert (plan.product, plan.refused) == (product, ())


def test_notice_by_the_31st_deregisters_and_bars_all_but_emergency(plan: Plan, table: RateTable) -> None:
    ending = msgspec.structs.replace(subscription("iplink-norge"), notice=date(2018, 12, 31))
    plan.use_subscription(ending, BEFORE)
    plan.use_table(table, "t")
    before = plan.configuration()
    assert before is not None
    assert all(account.register for account in before.accounts)
    ended = [plan.ended]
    assert plan.turn(AFTER)
    after = plan.configuration()
    assert after is not None
    assert [*ended, plan.ended] == [False, True]
    assert [account.register for account in after.accounts] == [False, False]
    assert (after.routes, [line.line for line in after.lines]) == ([], [0, 1])
    assert after.revision != before.revision
    assert plan.judge(asked("+4681234567"), AFTER).decision.refusal == "subscription_ended"
    assert plan.judge(asked("112"), AFTER).decision.granted


@pytest.mark.parametrize(
    ("change", "service"),
    [
        ({}, LineService.FULL),
        ({"active": False}, LineService.EMERGENCY_ONLY),
        ({"last_day": date(2026, 1, 1)}, LineService.EMERGENCY_ONLY),
        ({"last_day": date(2026, 1, 1), "profile": SipProfile(ended_line=EndedLine.DEAD)}, LineService.DEAD),
        ({"active": False, "profile": SipProfile(ended_line=EndedLine.DEAD)}, LineService.EMERGENCY_ONLY),
    ],
)
def test_a_line_is_told_what_it_is_good_for(plan: Plan, table: RateTable, change, service) -> None:
    plan.use_subscription(msgspec.structs.replace(subscription(), **change), NOW)
    plan.use_table(table, "t")
    configuration = plan.configuration()
    assert configuration is not None
    assert {line.service for line in configuration.lines} == {service}


def test_a_call_on_the_last_evening_ends_with_the_subscription(plan: Plan, table: RateTable) -> None:
    ending = msgspec.structs.replace(subscription(), last_day=date(2026, 11, 22))
    plan.use_subscription(ending, NOW)
    plan.use_table(table, "t")
    decision = plan.judge(asked("+4681234567"), NOW).decision
    assert decision.until_ms == NOW.boot_ms + 3 * 3_600_000
    assert decision.warn_at_ms == decision.until_ms - 60_000
    assert plan.judge(asked("112"), NOW).decision.until_ms is None


def test_a_number_that_was_given_up_stops_ringing_and_calling(plan: Plan, table: RateTable) -> None:
    held = subscription()
    held.numbers[1] = msgspec.structs.replace(held.numbers[1], last_day=date(2026, 11, 21))
    plan.use_subscription(held, NOW)
    plan.use_table(table, "t")
    configuration = plan.configuration()
    assert configuration is not None
    assert [route.number for route in configuration.routes if not route.refused] == ["+4721000000"]
    assert plan.judge(asked("+4681234567", 1), NOW).decision.refusal == "number_not_in_plan"
    assert plan.judge(asked("+4681234567", 0), NOW).decision.granted


def list_valid_from(day: str, version: str = "2026-01-01.sample") -> RateTable:
    text = (data_dir() / "price-lists/privat.csv").read_text(encoding="utf-8")
    text = text.replace("# valid_from: 2019-01-01", f"# valid_from: {day}")
    return RateTable.of(parse(text.replace("# version: 2026-01-01.sample", f"# version: {version}"), "next.csv"))


def test_a_price_list_prices_from_its_own_day_whenever_it_is_delivered(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.use_table(table, "now")
    assert not plan.offer_table(list_valid_from("2026-12-01"), "next", NOW)
    assert plan.basis() == ("privat", "now")
    before = moment_at("2026-11-30T22:59:59+00:00")
    assert plan.judge(asked("+4681234567"), before).price_list_sha256 == "now"
    after = moment_at("2026-11-30T23:00:00+00:00")
    assert plan.judge(asked("+4681234567"), after).price_list_sha256 == "next", "midnight in Oslo"


def test_after_a_restart_the_earlier_list_prices_until_the_next_ones_day(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.offer_table(list_valid_from("2026-12-01"), "next", NOW)
    assert plan.judge(asked("+4681234567"), NOW).decision.refusal == "no_price_list"
    assert not plan.offer_earlier_table(list_valid_from("2026-12-01"), "other", NOW)
    assert plan.offer_earlier_table(table, "now", NOW)
    assert plan.judge(asked("+4681234567"), NOW).price_list_sha256 == "now"
    plan.turn(moment_at("2026-12-01T12:00:00+00:00"))
    assert plan.basis() == ("privat", "next")


def test_a_clock_that_was_never_set_does_not_undo_the_subscription(plan: Plan, table: RateTable) -> None:
    unset = Moment("boot", 5_000, datetime(1970, 1, 1, tzinfo=UTC), False)
    plan.use_subscription(subscription(), unset)
    assert plan.offer_table(table, "t", unset)
    assert plan.unknown_product == ""
    assert plan.entitlement is not None
    assert plan.judge(asked("+4681234567"), NOW).decision.granted


def moment_at(at: str) -> Moment:
    return Moment("boot", 5_000_000, datetime.fromisoformat(at), True)


def test_another_day_has_the_list_that_was_valid_then(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    old, now, ahead = (list_valid_from(day) for day in ("2026-06-01", "2026-11-01", "2027-01-01"))
    plan.use_table(now, "now")
    plan.offer_table(ahead, "ahead", NOW)
    assert plan.basis_on(date(2026, 11, 2), [(old, "old")]) == ("privat", "now")
    assert plan.basis_on(date(2026, 10, 31), [(old, "old")]) == ("privat", "old")
    assert plan.basis_on(date(2027, 1, 1), [(old, "old")]) == ("privat", "ahead")
    assert plan.basis_on(date(2026, 10, 31)) == ("privat", "now")


def test_a_registration_whose_servers_are_not_known_carries_nothing_and_the_others_go_on() -> None:
    shipped = Shipped(load_products(), load_numbering(), load_tones())
    known = {"line1": ["192.0.2.7:5060"]}
    plan = Plan(shipped, ZoneInfo("Europe/Oslo"), missing, lambda one: known.get(one.id, []))
    plan.use_subscription(subscription(lines=2, numbers=2), NOW)
    configuration = plan.configuration()
    assert configuration is not None
    assert [(account.id, account.targets) for account in configuration.accounts] == [("line1", known["line1"])]
    assert {line.account for line in configuration.lines} == {"line1"}
    assert {route.account for route in configuration.routes} == {"line1"}


def kept_lists(plan: Plan, *days: str) -> dict[str, RateTable]:
    """So many lists, each under the day from which it is valid; the last one is in force."""
    lists = {day: list_valid_from(day) for day in days}
    plan._kept_tables = lambda: [(table, day) for day, table in lists.items()]
    plan._old_table = lambda sha256: lists[sha256]
    plan.use_table(lists[days[-1]], days[-1])
    return lists


@pytest.mark.parametrize(
    ("began", "minutes", "first", "later"),
    [
        ("2026-06-15T12:00:00Z", 10, "2026-06-01", []),
        ("2026-11-15T12:00:00Z", 10, "2026-11-01", []),
        ("2026-10-31T22:30:00Z", 60, "2026-06-01", [("2026-11-01", "2026-11-01")]),
        ("2026-10-31T23:00:00Z", 60, "2026-11-01", []),
    ],
    ids=["the old list", "the new list", "over midnight", "from midnight on"],
)
def test_a_call_that_is_dated_late_is_priced_by_the_lists_of_its_days(
    plan: Plan, began: str, minutes: int, first: str, later: list[tuple[str, str]]
) -> None:
    plan.use_subscription(subscription(), NOW)
    kept_lists(plan, "2026-06-01", "2026-11-01")
    call = msgspec.structs.replace(opened("2026-11-01"), began_at=began, answered_ms=0)
    found = plan.on_its_day(call, minutes * 60_000)
    assert (found.product, found.price_list_sha256) == ("privat", first)
    assert [(one.from_day, one.price_list_sha256) for one in found.later] == later
    price, why = plan.price(found, minutes * 60_000)
    assert price is not None, why


def test_of_two_lists_from_the_same_day_a_call_keeps_its_own(plan: Plan) -> None:
    plan.use_subscription(subscription(), NOW)
    table = list_valid_from("2026-11-01")
    other = list_valid_from("2026-11-01", "of-the-call")
    plan._kept_tables = lambda: [(table, "new"), (other, "own")]
    plan.use_table(table, "new")
    call = msgspec.structs.replace(opened("own"), answered_ms=0)
    assert plan.on_its_day(call, 1000).price_list_sha256 == "own"
    recorded = msgspec.structs.replace(call, price_list_sha256="")
    assert plan.on_its_day(recorded, 1000).price_list_sha256 == "new"
    assert plan.on_its_day(recorded, 1000, version="of-the-call").price_list_sha256 == "own"


# --- what prices a call over a midnight -------------------------------------------------------------------------------

EVE = Moment("boot", 5_000_000, datetime.fromisoformat("2018-12-31T22:50:00+00:00"), True)


@pytest.fixture
def old_table() -> RateTable:
    return RateTable.of(load(data_dir() / "price-lists/privat-2018.csv"))


def plan_with(tables: dict[str, RateTable]) -> Plan:
    def find(sha256: str) -> RateTable:
        if sha256 not in tables:
            raise TableError(f"{sha256} is gone")
        return tables[sha256]

    return Plan(Shipped(load_products(), load_numbering(), load_tones()), ZoneInfo("Europe/Oslo"), find)


def turning() -> Subscription:
    return msgspec.structs.replace(
        subscription("iplink-topp"),
        next_price_list=FileInfo(name="price-list-privat", version="2", length=1, sha256="b" * 64),
    )


def test_a_call_that_begins_before_the_turn_of_its_product_knows_both_lists(
    old_table: RateTable, table: RateTable
) -> None:
    plan = plan_with({"b" * 64: table})
    plan.use_subscription(turning(), EVE)
    plan.use_table(old_table, "a" * 64)
    judgement = plan.judge(asked("+4681234567"), EVE)
    assert [(one.from_day, one.product, one.price_list_sha256) for one in judgement.later] == [
        ("2019-01-01", "privat", "b" * 64)
    ]
    call = msgspec.structs.replace(
        opened("a" * 64), product="iplink-topp", began_ms=0, answered_ms=0,
        began_at="2018-12-31T22:50:00.000Z", later=list(judgement.later),
    )  # fmt: skip
    price, why = plan.price(call, 1_200_000)
    assert price is not None, why
    assert [(one.product, one.price_list) for one in price.lists] == [
        ("iplink-topp", "privat-2018"), ("privat", "privat"),
    ]  # fmt: skip
    assert price.amount_micro == 3_500_000 + 2_900_000


def test_where_the_next_list_was_never_fetched_the_old_one_goes_on(old_table: RateTable) -> None:
    plan = plan_with({})
    plan.use_subscription(turning(), EVE)
    plan.use_table(old_table, "a" * 64)
    judgement = plan.judge(asked("+4681234567"), EVE)
    call = msgspec.structs.replace(
        opened("a" * 64), product="iplink-topp", began_ms=0, answered_ms=0,
        began_at="2018-12-31T22:50:00.000Z", later=list(judgement.later),
    )  # fmt: skip
    price, _ = plan.price(call, 1_200_000)
    assert price is not None
    assert (price.amount_micro, price.lists) == (7_000_000, [])


def test_a_call_in_the_middle_of_the_year_knows_one_list(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.use_table(table, "t")
    assert plan.judge(asked("+4681234567"), NOW).later == []


def test_a_call_knows_the_list_that_comes_into_force_while_it_may_last(plan: Plan, table: RateTable) -> None:
    plan.use_subscription(subscription(), NOW)
    plan.use_table(table, "now")
    plan.offer_table(list_valid_from("2026-12-01"), "next", NOW)
    assert plan.judge(asked("+4681234567"), NOW).later == []
    eve = moment_at("2026-11-30T20:00:00+00:00")
    assert [(one.from_day, one.price_list_sha256) for one in plan.judge(asked("+4681234567"), eve).later] == [
        ("2026-12-01", "next")
    ]


def test_a_pack_holds_by_its_longest_beginning_and_one_that_contradicts_itself_is_left_out(plan: Plan) -> None:
    good = MinutePack(
        id="norden", name=PackName(nb="Norden", en="Nordic"), prefixes=["46", "468", "45"], excluded=["4670"],
        seconds=600, connect_fee="0.10",
    )  # fmt: skip
    odd = msgspec.structs.replace(good, id="odd", seconds=61, increment_s=60)
    plan.use_subscription(msgspec.structs.replace(subscription(), packs=[good, odd]), NOW)
    assert [pack.id for pack in plan.packs] == ["norden"]
    (held,) = plan.held_packs("+4681234567")
    assert (held.id, held.prefix, held.connect_fee_micro) == ("norden", "468", 100_000)
    assert plan.held_packs("+46701234567") == []
    assert plan.held_packs("+4921234567") == []


def test_a_code_of_the_platform_may_be_dialled_and_costs_nothing_here(plan: Plan, table: RateTable) -> None:
    codes = {"do_not_disturb": ServiceCodes(mode=ServiceMode.PLATFORM, on=["*26#"])}
    held = msgspec.structs.replace(subscription(), profile=SipProfile(services=ServiceSettings(codes=codes)))
    plan.use_subscription(held, NOW)
    plan.use_table(table, "t")

    decision = plan.judge(asked("*26#"), NOW).decision
    assert (decision.granted, decision.until_ms) == (True, NOW.boot_ms + 120_000)
    assert plan.judge(asked("*27#"), NOW).decision.refusal == "impossible_number"
    assert plan.configuration().services.codes[Service.DO_NOT_DISTURB].mode is ServiceMode.PLATFORM
