"""What the gateway keeps on disk: it starts with it alone, whatever version wrote it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.services import LineServices
from agent.gateway.daemon.keep import KeepError, Kept
from agent.gateway.protocol import Configure

FILE = "configuration.json"


def test_what_was_kept_comes_back(tmp_path: Path, configuration: Configure) -> None:
    kept = Kept(tmp_path)
    assert kept.configuration() is None
    kept.keep(configuration)
    assert Kept(tmp_path).configuration() == configuration


def test_the_operators_ranges_come_back(tmp_path: Path, configuration: Configure) -> None:
    with_ranges = msgspec.structs.replace(
        configuration, signalling_ranges=["192.0.2.0/24"], media_ranges=["2001:db8::/32"]
    )
    Kept(tmp_path).keep(with_ranges)
    assert Kept(tmp_path).configuration() == with_ranges


def test_what_a_newer_version_added_is_passed_over(tmp_path: Path, configuration: Configure) -> None:
    kept = Kept(tmp_path)
    body = msgspec.to_builtins(configuration)
    body["hold_music"] = True
    body["accounts"][0]["pigeons"] = "required"
    body["tones"]["lullaby"] = body["tones"]["dial"]
    body["tones"]["dial"]["segments"][0]["fade_ms"] = 5
    body["numbers"]["clir"] = "31"
    body["services"]["codes"]["hold_music"] = {"on": ["*99#"]}
    body["services"]["codes"]["hotline"]["announced"] = True
    (tmp_path / FILE).write_text(json.dumps(body))
    assert kept.configuration() == configuration


@pytest.mark.parametrize(
    ("field", "wrong"), [("accounts", 7), ("accounts", [None]), ("tones", []), ("digit_map", {}), ("type", "decide")]
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, configuration: Configure, field: str, wrong: object) -> None:
    (tmp_path / FILE).write_text(json.dumps(msgspec.to_builtins(configuration) | {field: wrong}))
    with pytest.raises(KeepError, match=FILE):
        Kept(tmp_path).configuration()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3)
    | st.dictionaries(st.sampled_from(["accounts", "tones", "type", "dial", "lines", "x"]), parts, max_size=4),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_file_is_a_configuration_or_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / FILE).write_bytes(body)
    with pytest.raises(KeepError, match=FILE):
        Kept(tmp_path).configuration()


def test_one_gateway_at_a_time_has_the_folder(tmp_path: Path) -> None:
    first, second = Kept(tmp_path), Kept(tmp_path)
    first.claim()
    with pytest.raises(KeepError, match="another gateway"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_the_port_stays_once_it_is_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    port = kept.sip_port(20_000, 29_999)
    assert 20_000 <= port <= 29_999
    kept.keep_sip_port(port)
    assert {kept.sip_port(20_000, 29_999) for _ in range(5)} == {port}
    kept.forget_sip_port()
    kept.forget_sip_port()
    assert not (tmp_path / "sip-port").exists()


def test_on_a_full_disk_a_trace_goes_for_the_configuration_with_which_112_is_reached(
    tmp_path: Path, configuration: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, trace = Kept(tmp_path), tmp_path / "line-trace.txt"
    trace.write_text("frames")
    write = os.write

    def full(descriptor: int, body: bytes) -> int:
        if trace.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, body)

    monkeypatch.setattr(os, "write", full)
    kept.keep(configuration)
    assert kept.configuration() == configuration
    assert not trace.exists()


def test_what_users_set_comes_back_and_is_replaced_whole(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.services() == {}
    first = {0: LineServices(forward_all="+4722334455"), 1: LineServices(call_waiting=False, withhold=True)}
    kept.keep_services(first)
    assert Kept(tmp_path).services() == first
    kept.keep_services({1: LineServices(do_not_disturb=True)})
    assert Kept(tmp_path).services() == {1: LineServices(do_not_disturb=True)}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"x": {}}', b'{"0": {"forward_all": 1}}', b"\xff", b'{"0":'])
def test_damaged_settings_are_refused_by_name(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "services.json").write_bytes(body)
    with pytest.raises(KeepError, match=r"services\.json"):
        Kept(tmp_path).services()


def test_settings_of_a_newer_version_are_read_without_what_is_new(tmp_path: Path) -> None:
    (tmp_path / "services.json").write_text('{"0": {"hotline": "+4791234567", "hold_music": true}}')
    assert Kept(tmp_path).services() == {0: LineServices(hotline="+4791234567")}


def test_what_a_library_carries_is_kept_for_that_library_only(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.capacity("2.15.1 4000") is None
    kept.keep_capacity("2.15.1 4000", 8)
    assert Kept(tmp_path).capacity("2.15.1 4000") == 8
    assert Kept(tmp_path).capacity("2.17 4000") is None
    assert Kept(tmp_path).capacity("2.15.1 4001") is None


@pytest.mark.parametrize("body", [b"", b"8", b"{}", b"\xff", b'{"library":"2.17 1","accounts":0}'])
def test_a_damaged_word_of_it_is_none(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "sip-capacity.json").write_bytes(body)
    assert Kept(tmp_path).capacity("2.17 1") is None


def test_the_contacts_seed_is_drawn_once_and_another_adapter_has_another(tmp_path):
    seed = Kept(tmp_path / "one").contact_seed()
    assert len(seed) == 16
    assert Kept(tmp_path / "one").contact_seed() == seed
    assert Kept(tmp_path / "two").contact_seed() != seed
    (tmp_path / "one" / "contact-seed").write_text("damaged")
    drawn = Kept(tmp_path / "one").contact_seed()
    assert drawn != seed
    assert Kept(tmp_path / "one").contact_seed() == drawn
