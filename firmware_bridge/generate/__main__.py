"""Write the files that are made from the message table, or with --check say which of them are not current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from firmware_bridge.generate.files import generated_files

_ROOT = Path(__file__).resolve().parents[2]


def stale(root: Path) -> list[str]:
    """The generated files below `root` that are missing or are not what the table says now."""
    return [
        name for name, text in generated_files().items()
        if not (path := root / name).is_file() or path.read_text(encoding="utf-8") != text
    ]  # fmt: skip


def main() -> int:
    """0 where all is current or was written, 1 where --check found a stale file."""
    parser = argparse.ArgumentParser(prog="python -m firmware_bridge.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is not current")
    parser.add_argument("--root", type=Path, default=_ROOT, help="the checkout (default: where this module is)")
    arguments = parser.parse_args()
    names = stale(arguments.root)
    if not arguments.check:
        files = generated_files()
        for name in names:
            path: Path = arguments.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], encoding="utf-8")
    for name in names:
        sys.stdout.write(f"{name} {'is not current' if arguments.check else 'written'}\n")
    return 1 if names and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
