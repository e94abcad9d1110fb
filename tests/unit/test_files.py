"""Writing a file whole: the earlier one stays until the new one is on disk, and nothing is left lying about."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.files import write_whole


def test_the_file_has_the_new_body_and_only_the_given_permissions(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"one", mode=0o640)
    write_whole(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def test_what_a_power_cut_left_half_written_does_not_show_in_the_next_file(tmp_path: Path) -> None:
    (tmp_path / ".kept.new").write_bytes(b"half of something much longer")
    write_whole(tmp_path / "kept", b"two")
    assert (tmp_path / "kept").read_bytes() == b"two"
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("failing", ["os.write", "os.fsync", "pathlib.Path.replace"])
def test_on_a_full_disk_the_earlier_file_stays_and_no_room_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"one")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(failing, full)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"two")
    assert path.read_bytes() == b"one"
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def test_it_is_on_disk_before_it_has_its_name_and_its_name_is_on_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    monkeypatch.setattr("os.fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_whole(path, b"one")
    assert steps == ["file", "rename", "folder"]
    write_whole(path, b"two", durable=False)
    assert steps == ["file", "rename", "folder", "rename"]


def test_writers_at_the_same_time_leave_one_of_their_bodies_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    bodies = [bytes([letter]) * 20_000 for letter in b"abcdefgh"]
    with ThreadPoolExecutor(len(bodies)) as pool:
        list(pool.map(lambda body: write_whole(path, body, durable=False), bodies * 5))
    assert path.read_bytes() in bodies
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
