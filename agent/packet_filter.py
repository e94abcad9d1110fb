"""Root's part of the packet filter: reads what the gateway asks for, loads it with `nft`, says what is in force.

Run by systemd for a moment when the request changes. Its writer is not trusted: see `agent.core.packet_filter`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec

from agent import clock
from agent.core.packet_filter import TABLE, FilterError, PacketFilter, nft_script
from agent.files import write_whole
from agent.filter_file import MAX_BYTES, FilterState, decode_request, decode_state, encode_state

STATE = Path("/run/iplink-packet-filter/state.json")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_NFT_S = 30
_MAX_ERROR = 400


class NotLoadedError(Exception):
    """`nft` is not there, or did not take the filter; the message is a sentence."""


def read_request(path: Path) -> PacketFilter:
    """The request in a file that its writer may have exchanged for anything. Raises FilterError, OSError."""
    # No symbolic link and no pipe: a link would let the writer read other files by what is said of them.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FilterError("it is no ordinary file")
        return decode_request(file.read(MAX_BYTES + 1))


def apply(path: Path, state: Path) -> FilterState:
    """Put the request into force and write down what is; an error leaves the earlier filter as it was.

    Raises OSError where the state cannot be written; all other errors are in the result.
    """
    before = read_state(state)
    try:
        wanted = read_request(path)
        _nft(["-f", "-"], nft_script(wanted))
        found = _state(in_force=True, wanted=wanted)
    except (FilterError, NotLoadedError) as error:
        found = _after_error(str(error), before)
    except OSError as error:
        found = _after_error(error.strerror or str(error), before)
    state.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(state, encode_state(found), mode=0o644, durable=False)
    return found


def read_state(path: Path) -> FilterState | None:
    """What root last said, in this life of the machine; None where it said nothing that can be read."""
    try:
        with path.open("rb") as file:
            found = decode_state(file.read(MAX_BYTES + 1))
    except OSError:
        return None
    return found if found is not None and found.boot_id == clock.boot_id() else None


def _state(*, in_force: bool, wanted: PacketFilter | None = None, error: str = "") -> FilterState:
    return FilterState(
        boot_id=clock.boot_id(), boot_ms=clock.boot_ms(), in_force=in_force, error=error,
        signalling=len(wanted.signalling) if wanted is not None else 0,
        media=len(wanted.media) if wanted is not None else 0,
    )  # fmt: skip


def _after_error(error: str, before: FilterState | None) -> FilterState:
    in_force = False
    with contextlib.suppress(NotLoadedError):
        _nft(["list", "table", *TABLE.split()])
        in_force = True
    found = _state(in_force=in_force, error=error[:_MAX_ERROR])
    if before is None or not in_force:
        return found
    return msgspec.structs.replace(found, signalling=before.signalling, media=before.media)


def _nft(arguments: list[str], script: str = "") -> None:
    program = shutil.which("nft", path=_PATH)
    if program is None:
        raise NotLoadedError("nft is not installed (Debian: nftables)")
    try:
        done = subprocess.run(
            [program, *arguments], input=script, env={"PATH": _PATH, "LC_ALL": "C"}, capture_output=True, text=True,
            encoding="utf-8", errors="replace", timeout=_NFT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotLoadedError(f"nft could not be run: {error}") from error
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise NotLoadedError(f"nft did not take it: {said}")
