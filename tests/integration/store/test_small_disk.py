"""A disk that has become read-only, and one that has no room at all: real ones, mounted for the test."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from agent.store import Store, StoreError, StoreFull
from agent.store.room import BALLAST


@pytest.fixture
def disk(tmp_path):
    specification = importlib.util.spec_from_file_location(
        "small_disk", Path(__file__).parents[2] / "small_disk.py"
    )  # fmt: skip
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = module.small_disk(folder, 4096)
    try:
        disk = mounting.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    yield disk
    mounting.__exit__(None, None, None)


def remount(disk, how):
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*rights, "mount", "-o", f"remount,{how}", str(disk.path)], check=True)


async def test_a_read_only_disk_is_named_and_the_store_opens_when_it_is_writable_again(disk):
    store = await Store.open(disk.path)
    await store.close()
    remount(disk, "ro")
    with pytest.raises(StoreError, match="Read-only file system"):
        await Store.open(disk.path)
    remount(disk, "rw")
    await (await Store.open(disk.path)).close()


async def test_a_store_opens_on_a_full_disk_by_giving_up_its_ballast_and_makes_it_again(disk):
    store = await Store.open(disk.path)
    assert (await store.tend()).ballast
    await store.put_document("one", bytes(1000))
    await store.close()
    disk.fill()
    store = await Store.open(disk.path)
    await store.put_document("two", bytes(1000))
    assert not (disk.path / BALLAST).exists()
    assert (await store.tend()).low
    for number in range(100):
        disk.fill()
        try:
            await store.put_document(f"more-{number}", os.urandom(100_000))
        except StoreFull:
            break
    else:
        pytest.fail("the disk was never full")
    assert await store.document("two") == bytes(1000)
    disk.clear()
    space = await store.tend()
    assert store.trouble is None
    assert space.ballast
    assert not space.low
    await store.close()


def test_what_full_means_is_what_the_kernel_says(disk):
    disk.fill()
    with pytest.raises(OSError) as refused:
        (disk.path / "more").write_bytes(bytes(100))
    assert refused.value.errno == errno.ENOSPC
