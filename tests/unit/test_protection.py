"""What the page and the log tell of the packet filter and of the SIP library."""

from pathlib import Path

import pytest

from agent.clock import boot_id
from agent.core.advisories import Reached
from agent.core.srtp import Srtp
from agent.data import load_advisories
from agent.filter_file import FilterState, encode_state
from agent.gateway.protocol import Account
from agent.packet_filter import read_state
from agent.protection import Protection, filter_view
from agent.status.snapshot import FilterStanding, FilterView

MINUTE = 60_000


def state(boot_ms=0, **fields):
    return FilterState(boot_id=boot_id(), boot_ms=boot_ms, **fields)


@pytest.mark.parametrize(
    ("said", "now", "standing"),
    [
        (None, 0, FilterStanding.NONE),
        (state(in_force=True), 29 * MINUTE, FilterStanding.IN_FORCE),
        (state(in_force=True), 30 * MINUTE, FilterStanding.OLD),
        (state(in_force=True, error="x"), 0, FilterStanding.KEPT),
        (state(in_force=False, error="x"), 0, FilterStanding.REFUSED),
        (state(in_force=False), 0, FilterStanding.NONE),
    ],
)
def test_what_root_said_is_told_as_far_as_it_holds(said, now, standing):
    assert filter_view(said, now).standing is standing


def test_the_file_of_this_life_of_the_machine_counts_and_nothing_else(tmp_path):
    path = tmp_path / "state.json"
    protection = Protection(path, ())
    assert protection.packet_filter(0) == FilterView()
    path.write_bytes(encode_state(state(in_force=True, signalling=3, media=2)))
    assert protection.packet_filter(0) == FilterView(standing=FilterStanding.IN_FORCE, signalling=3, media=2)
    path.write_bytes(encode_state(FilterState(boot_id="another", boot_ms=0, in_force=True)))
    assert protection.packet_filter(0) == FilterView()
    for bad in (b"", b"{", b"[" * 70_000, b'{"boot_id": 5}', b"\xff"):
        path.write_bytes(bad)
        assert read_state(path) is None


def test_without_a_packet_filter_the_operators_ranges_are_what_the_sockets_take(tmp_path):
    protection = Protection(tmp_path / "none", ())
    assert protection.packet_filter(0, 0) == FilterView()
    sockets = FilterView(standing=FilterStanding.SOCKETS, signalling=4)
    assert protection.packet_filter(0, 4) == sockets
    protection.gateway_says("card_down")
    assert protection.packet_filter(0, 4) == sockets
    protection.gateway_says("sip_sources_not_filtered")
    assert protection.packet_filter(0, 4) == FilterView()
    protection.gateway_greets()
    assert protection.packet_filter(0, 4) == sockets


def test_the_log_hears_once_of_a_library_with_advisories():
    protection = Protection(Path("/nonexistent"), load_advisories())
    news = protection.news("2.15.1")
    assert news["version"] == "2.15.1"
    assert news["open"] > news["reached"] > 0
    assert protection.news("2.15.1") is None
    assert protection.news("an unknown one") == {"version": "an unknown one", "known": False, "open": 0, "reached": 0}


def test_of_a_library_without_any_the_log_hears_nothing():
    assert Protection(Path("/nonexistent"), ()).news("2.15.1") is None


def reached(protection):
    return {one.id for one in protection.library("2.15.1").advisories if one.reached == "yes"}


def account(**fields):
    return Account(
        id="a", user="a", domain="example.net", auth_user="a", password="p", **{"targets": ["192.0.2.1:5060"], **fields}
    )


KEYS, OPUS = {"CVE-2026-57162"}, {"CVE-2026-29068", "CVE-2025-65102", "CVE-2026-40614"}
TLS = ["sip.example.net@192.0.2.1:5061;transport=tls"]


@pytest.mark.parametrize(
    ("fields", "codecs", "more"),
    [
        ({}, ["PCMA", "opus"], set()),
        ({"srtp": Srtp.OPTIONAL, "targets": TLS}, [], KEYS),
        ({"srtp": Srtp.MANDATORY, "targets": ["192.0.2.1:5060;transport=udp", *TLS]}, [], KEYS),
        ({"srtp": Srtp.OPTIONAL}, [], set()),
        ({"srtp": Srtp.OPTIONAL, "targets": ["no target"]}, [], set()),
        ({"srtp": Srtp.OFF, "targets": TLS}, [], set()),
        ({"codecs": ["OPUS", "PCMA"]}, ["PCMA", "opus"], OPUS),
        ({"codecs": ["opus", "PCMA"]}, ["PCMA", "PCMU"], set()),
    ],
)
def test_what_a_registration_turns_on_is_reached(fields, codecs, more):
    protection = Protection(Path("/nonexistent"), load_advisories())
    always = reached(protection)
    protection.use([account(), account(**fields)], codecs)
    assert reached(protection) - always == more
    protection.use([], codecs)
    assert reached(protection) == always


def test_what_is_reached_since_is_told_again():
    protection = Protection(Path("/nonexistent"), load_advisories())
    before = protection.news("2.15.1")
    protection.use([account(srtp=Srtp.OPTIONAL, targets=TLS)], [])
    assert protection.news("2.15.1") == before | {"reached": before["reached"] + 1}
    assert protection.news("2.15.1") is None


def test_the_librarys_own_stun_is_never_on():
    (stun,) = (one for one in load_advisories() if one.commit == "082948b0a")
    assert (stun.reached, stun.when) == (Reached.NO, None)
