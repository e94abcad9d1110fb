"""Reading one TOML file of ours: bounded, UTF-8, and every failure a sentence with the place in the file."""

from __future__ import annotations

import tomllib
from pathlib import Path


class TomlFileError(Exception):
    """The file could not be read as TOML; the message is one sentence without the file's name."""


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Contents of the regular file `path`, at most `max_bytes` long. Raises TomlFileError."""
    try:
        if not path.is_file():
            what = "it is not a regular file" if path.exists() else "there is no such file"
            raise TomlFileError(f"{what}; give the path of a TOML file")
        with path.open("rb") as file:
            body = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TomlFileError(f"it cannot be read ({reason}); check its owner and mode") from error
    if len(body) > max_bytes:
        raise TomlFileError(f"it is larger than {max_bytes} bytes, the most that is allowed; shorten it")
    return body


def parse_toml(body: bytes) -> dict[str, object]:
    """The TOML document in `body`. Raises TomlFileError naming byte, or line and column."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise TomlFileError(
            f"line {line}: byte {error.start} (0x{body[error.start]:02x}) is not UTF-8; save the file as UTF-8"
        ) from error
    try:
        document: dict[str, object] = tomllib.loads(text)
    except RecursionError as error:
        raise TomlFileError("it is nested too deeply; no setting needs that, restore the file") from error
    except ValueError as error:
        raise TomlFileError(f"not valid TOML: {error}; mend that place, or compare with the sample") from error
    return document


def read_toml(path: Path, *, max_bytes: int) -> dict[str, object]:
    """The TOML document in the file `path`. Raises TomlFileError."""
    return parse_toml(read_bytes(path, max_bytes=max_bytes))
