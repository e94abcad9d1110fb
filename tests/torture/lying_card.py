"""What a memory card does that says "written" and has not: cut, zero, lose parts of one copy while nobody looks."""

from __future__ import annotations

import random
from pathlib import Path


def lie(chance: random.Random, store: Path) -> str:
    """Harm the database or the journal, never both; what was done, for the log."""
    database = sorted(path for path in store.glob("store.db*") if not path.name.endswith("-shm"))
    journal = sorted(store.glob("journal-*.jsonl"))
    victims = [path for path in (database if chance.random() < 0.6 else journal) if path.stat().st_size]
    if not victims:
        return "nothing there"
    path = chance.choice(victims)
    size = path.stat().st_size
    place = chance.randrange(size)
    match chance.randrange(4):
        case 0:
            with path.open("r+b") as file:
                file.truncate(place)
            return f"{path.name} cut at {place} of {size}"
        case 1:
            length = min(chance.choice([64, 512, 4096, 65536]), size - place)
            with path.open("r+b") as file:
                file.seek(place)
                file.write(bytes(length))
            return f"{path.name}: {length} bytes zeroed at {place} of {size}"
        case 2:
            with path.open("r+b") as file:
                file.seek(place)
                file.write(chance.randbytes(min(512, size - place)))
            return f"{path.name}: a foreign block at {place} of {size}"
        case _:
            path.unlink()
            return f"{path.name} gone"
