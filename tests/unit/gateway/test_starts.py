"""How a gateway that has just begun knows what came before it."""

import queue
import threading

import pytest

from agent.core.beginning import CRASH_MEMORY_MS, Beginning
from agent.core.registration import HURRY_MS, MAX_DELAY_MS
from agent.gateway.daemon import starts as module
from agent.gateway.daemon.starts import Starts


def test_the_first_start_after_the_machine_came_up_is_cold_and_the_next_is_not(tmp_path):
    starts = Starts(tmp_path)
    assert starts.begin("boot a", 1000) == Beginning(cold=True, crashes=0)
    starts.ended()
    assert starts.begin("boot a", 9000) == Beginning(cold=False, crashes=0)
    assert starts.begin("boot b", 500) == Beginning(cold=True, crashes=0)


def test_ends_without_a_goodbye_are_counted_for_ten_minutes(tmp_path):
    starts = Starts(tmp_path)
    found = [starts.begin("boot a", at).crashes for at in (1000, 2000, 3000, 2000 + CRASH_MEMORY_MS)]
    assert found == [0, 1, 2, 1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"boot_id": 1}',
        b"[]",
        b"\xff",
        b'{"boot_id":"a","began_ms":[-1]}',
        b'{"boot_id":"a","called_for_help":{"8":1}}',
    ],
)
def test_a_damaged_file_is_a_cold_start(tmp_path, body):
    (tmp_path / "starts.json").write_bytes(body)
    assert Starts(tmp_path).begin("boot a", 1000) == Beginning(cold=True)
    assert Starts(tmp_path).begin("boot a", 2000) == Beginning(crashes=1)


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path):
    starts = Starts(tmp_path / "missing")
    assert starts.begin("boot a", 1000) == Beginning(cold=True)
    starts.ended()


def test_a_credential_that_rests_goes_on_resting_after_a_restart_until_its_time_or_another_boot(tmp_path):
    starts = Starts(tmp_path)
    starts.begin("boot a", 1000)
    starts.rest({"mark": 1_200_000, "long past": 900, "absurd": 2**50})
    assert starts.begin("boot a", 2000) == Beginning(crashes=1, rests={"mark": 1_200_000})
    starts.ended()
    assert Starts(tmp_path).begin("boot a", 3000) == Beginning(rests={"mark": 1_200_000})
    assert Starts(tmp_path).begin("boot a", 1_200_000).rests == {}
    starts.rest({"mark": 1_200_000})
    assert Starts(tmp_path).begin("boot b", 100).rests == {}


def test_who_has_called_for_help_may_be_called_back_after_a_restart_and_after_a_power_cut(tmp_path):
    starts = Starts(tmp_path)
    starts.begin("boot a", 1000)
    starts.keep_callbacks({0: 4_000_000, 1: None, 2: 399_999, 3: 4_100_000})
    begun = starts.begin("boot a", 4_000_500)
    assert begun.called_for_help == {0: 4_000_000, 1: 4_000_500}, "not what lies an hour back, nor in the future"
    starts.ended()
    assert Starts(tmp_path).begin("boot a", 4_001_000).called_for_help == begun.called_for_help
    assert Starts(tmp_path).begin("boot b", 77).called_for_help == {0: 77, 1: 77}, "nobody knows for how long"
    starts.keep_callbacks({})
    assert Starts(tmp_path).begin("boot c", 10).called_for_help == {}


def test_who_has_called_for_help_comes_to_the_disk_at_once_and_no_call_waits_for_that(tmp_path, monkeypatch):
    disk_works, synced = threading.Event(), queue.Queue()

    def sync(path):
        assert disk_works.wait(10)
        synced.put(path.read_bytes())

    monkeypatch.setattr(module, "sync_file", sync)
    starts = Starts(tmp_path)
    starts.begin("boot a", 1000)
    starts.keep_callbacks({1: None})
    disk_works.set()
    assert b'"called_for_help":{"1":null}' in synced.get(timeout=10)


def test_only_a_cold_start_is_spread_and_only_crash_after_crash_waits_longer():
    def longest(beginning):
        return beginning.delay_ms(30_000, lambda: 0.999_999)

    assert 29_000 < longest(Beginning(cold=True)) <= 30_000
    assert longest(Beginning()) == 0
    assert longest(Beginning(crashes=1)) <= HURRY_MS
    waits = [longest(Beginning(crashes=count)) for count in range(2, 20)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (3999, MAX_DELAY_MS - 1)
