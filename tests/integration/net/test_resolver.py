"""Where the operator's servers are, asked of real sockets: whatever DNS servers do, the telephone keeps its targets."""

from __future__ import annotations

import asyncio

import pytest

from agent.net.answers import Answers
from agent.net.memory import Memory
from agent.net.names import parse_spec
from agent.net.resolver import Resolver
from agent.net.sources import Sources
from agent.net.watch import TargetWatch, Wanted

TIMEOUT_S = 0.4


class Clock:
    def __init__(self):
        self.now_s = 1_700_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def wall():
    return Clock()


@pytest.fixture
def sources(tmp_path, zone):
    path = tmp_path / "resolv.conf"
    path.write_text("# the home's router\nsearch lan\n")
    return Sources(path, [zone.server])


@pytest.fixture
def resolver(sources, wall):
    return Resolver(sources, Answers(), lambda name: 0.5, wall, TIMEOUT_S)


async def _targets(resolver, *texts):
    return (await resolver.resolve([parse_spec(text) for text in texts])).targets


def _operator(zone):
    zone.put("sip.example", "NAPTR", '10 10 "s" "SIPS+D2T" "" _sips._tcp.sip.example.',
             '20 10 "S" "SIP+D2U" "" _sip._udp.sip.example.')  # fmt: skip
    zone.put("_sip._udp.sip.example", "SRV", "20 1 5062 b.sip.example.", "10 1 5060 a.sip.example.")
    zone.put("a.sip.example", "A", "192.0.2.1")
    zone.put("a.sip.example", "AAAA", "2001:db8::1")
    zone.put("b.sip.example", "A", "192.0.2.2")


A_AND_B = ("192.0.2.1:5060;transport=udp", "[2001:db8::1]:5060;transport=udp", "192.0.2.2:5062;transport=udp")


async def test_a_domain_becomes_an_ordered_list_of_addresses(zone, resolver):
    _operator(zone)
    found = await resolver.resolve([parse_spec("sip.example")])
    assert found.targets == A_AND_B
    assert (found.stale, found.silent) == (False, False)


async def test_an_address_is_asked_of_nobody(zone, resolver):
    assert await _targets(resolver, "192.0.2.9:5070;transport=udp") == ("192.0.2.9:5070;transport=udp",)
    assert zone.asked == []


async def test_a_name_with_a_port_needs_no_srv(zone, resolver):
    _operator(zone)
    assert await _targets(resolver, "b.sip.example:5090") == ("192.0.2.2:5090;transport=udp",)
    assert {kind for _, kind in zone.asked} == {"A", "AAAA"}


async def test_without_naptr_and_srv_the_name_itself_is_the_server(zone, resolver):
    zone.put("b.sip.example", "A", "192.0.2.2")
    assert await _targets(resolver, "b.sip.example") == ("192.0.2.2:5060;transport=udp",)


async def test_aliases_are_followed_in_one_answer_and_across_answers(zone, resolver):
    zone.put("old.example", "CNAME", "new.example")
    zone.put("new.example", "CNAME", "newest.example")
    zone.put("newest.example", "A", "192.0.2.3")
    assert await _targets(resolver, "old.example:5060") == ("192.0.2.3:5060;transport=udp",)


async def test_a_chain_that_leads_back_to_itself_ends(zone, resolver):
    zone.put("a.example", "CNAME", "b.example")
    zone.put("b.example", "CNAME", "a.example")
    found = await asyncio.wait_for(resolver.resolve([parse_spec("a.example:5060")]), 10)
    assert (found.targets, found.silent) == ((), True)


async def test_an_answer_that_does_not_fit_is_fetched_by_tcp(zone, resolver):
    zone.mood = "truncated"
    zone.put("a.example", "A", *[f"192.0.2.{at}" for at in range(1, 250)])
    found = await _targets(resolver, "a.example:5060")
    assert (len(found), len(set(found))) == (4, 4)


async def test_a_huge_zone_costs_a_bounded_number_of_questions(zone, sources, wall):
    resolver = Resolver(sources, Answers(), lambda name: 0.5, wall, 10.0)
    zone.mood = "truncated"
    zone.put("_sip._udp.sip.example", "SRV", *[f"10 1 5060 host{at}.sip.example." for at in range(600)])
    for at in range(600):
        zone.put(f"host{at}.sip.example", "A", f"10.0.{at // 250}.{at % 250 + 1}")
    found = await resolver.resolve([parse_spec("sip.example;transport=udp")])
    assert len(found.targets) == 8
    assert len(zone.asked) < 150


@pytest.mark.parametrize("mood", ["forged first"])
async def test_what_does_not_answer_the_question_is_not_listened_to(zone, resolver, mood):
    zone.mood = mood
    zone.put("a.example", "A", "192.0.2.1")
    assert await _targets(resolver, "a.example:5060") == ("192.0.2.1:5060;transport=udp",)


@pytest.mark.parametrize("mood", ["silent", "servfail", "garbage", "other question"])
async def test_a_server_that_gives_no_answer_takes_none_away(zone, resolver, wall, mood):
    _operator(zone)
    await _targets(resolver, "sip.example")
    zone.mood = mood
    wall.now_s += 6 * 86_400
    found = await resolver.resolve([parse_spec("sip.example")])
    assert (found.targets, found.stale) == (A_AND_B, True)
    wall.now_s += 2 * 86_400
    found = await resolver.resolve([parse_spec("sip.example")])
    assert (found.targets, found.silent) == ((), True)


async def test_a_name_that_is_gone_serves_a_day_longer(zone, resolver, wall):
    _operator(zone)
    await _targets(resolver, "sip.example")
    zone.records.clear()
    wall.now_s += 3600
    found = await resolver.resolve([parse_spec("sip.example")])
    assert (found.targets, found.stale) == (A_AND_B, True)
    wall.now_s += 86_400
    found = await resolver.resolve([parse_spec("sip.example")])
    assert (found.targets, found.stale, found.silent) == ((), False, False)


async def test_a_ttl_of_nothing_makes_no_storm(zone, resolver):
    zone.ttl = 0
    _operator(zone)
    assert (await resolver.resolve([parse_spec("sip.example")])).refresh_s >= 59
    asked = len(zone.asked)
    await _targets(resolver, "sip.example")
    assert len([kind for _, kind in zone.asked[asked:]]) == 0


@pytest.mark.parametrize("mood", ["silent", "servfail", "garbage"])
async def test_the_other_source_answers_where_the_networks_own_does_not(tmp_path, zone, other_zone, wall, mood):
    zone.mood = mood
    _operator(other_zone)
    resolver = Resolver(_two(tmp_path, zone, other_zone), Answers(), lambda name: 0.5, wall, TIMEOUT_S)
    found = await resolver.resolve([parse_spec("sip.example")])
    assert (found.targets, found.silent) == (A_AND_B, False)


async def test_a_router_that_denies_the_name_is_not_believed_alone(tmp_path, zone, other_zone, wall):
    _operator(other_zone)
    resolver = Resolver(_two(tmp_path, zone, other_zone), Answers(), lambda name: 0.5, wall, TIMEOUT_S)
    assert await _targets(resolver, "sip.example") == A_AND_B


def _two(tmp_path, zone, other_zone):
    # resolv.conf knows no ports: the first group is given as the fallback of an empty file.
    class Both(Sources):
        def servers(self):
            return [(zone.server,), (other_zone.server,)]

    return Both(tmp_path / "none", [])


# --- the watch -------------------------------------------------------------------------------------------------------


class Told:
    def __init__(self):
        self.changed = asyncio.Event()
        self.back = asyncio.Event()


def _watch(sources, path, wall, told):
    return TargetWatch(sources, Memory(path), changed=told.changed.set, dns_back=told.back.set, uniform=lambda: 0.0,
                       now_s=wall, timeout_s=TIMEOUT_S)  # fmt: skip


async def _run(watch, event):
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(10):
            await event.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


HOME = Wanted("home", "sip.example", ())


async def test_after_a_restart_without_dns_the_targets_are_there(zone, sources, wall, tmp_path):
    _operator(zone)
    told = Told()
    watch = _watch(sources, tmp_path / "targets.json", wall, told)
    watch.use([HOME, Wanted("fixed", "x.example", ("192.0.2.7",))])
    assert watch.targets("fixed") == ("192.0.2.7:5060;transport=udp",)
    assert (watch.targets("home"), watch.complete) == (None, False)
    await _run(watch, told.changed)
    assert (watch.targets("home"), watch.complete) == (A_AND_B, True)

    zone.mood = "silent"
    wall.now_s += 86_400
    told = Told()
    again = _watch(sources, tmp_path / "targets.json", wall, told)
    again.use([HOME])
    await _run(again, told.changed)
    assert again.targets("home") == A_AND_B


async def test_when_the_dns_is_back_that_is_said_once(zone, sources, wall, tmp_path):
    _operator(zone)
    zone.mood = "silent"
    told = Told()
    watch = _watch(sources, tmp_path / "targets.json", wall, told)
    watch.use([HOME])
    task = asyncio.create_task(watch.run())
    await asyncio.wait_for(zone.was_asked.wait(), 10)
    assert watch.targets("home") is None
    zone.mood = "kind"
    await asyncio.wait_for(told.back.wait(), 10)
    assert watch.targets("home") == A_AND_B
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_name_that_does_not_exist_holds_nobody_up(zone, sources, wall, tmp_path):
    told = Told()
    watch = _watch(sources, tmp_path / "targets.json", wall, told)
    watch.use([Wanted("typo", "no.such.example", ())])
    await _run(watch, told.changed)
    assert (watch.targets("typo"), watch.complete) == ((), True)
