"""What the reference device in C costs: flash and static RAM, and the time of a frame through decoder and session."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, encode_frame
from firmware_bridge.reference import BuildError, build
from firmware_bridge.reference.build import SOURCES
from firmware_bridge.reference.core import Library
from firmware_bridge.reliable import WINDOW
from firmware_bridge.session import CardLink
from firmware_bridge.terms import CardIdentity
from firmware_bridge.vocabulary import Kind

FRAMES = 20_000
IDENTITY = CardIdentity(boot_id=7, lines=2, firmware="bench")


def size(folder: Path) -> None:
    """Bytes of code, initialised data and zeroed data, file by file."""
    command = ["make", "-s", "-C", str(SOURCES), f"OUT={folder}", "size"]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.replace(f"{folder}/size/", ""))


def microseconds(card: object) -> float:
    """A frame of speech from the host through a card's end of the link."""
    hello = m.Hello(m.PROTOCOL_MAJOR, m.PROTOCOL_MINOR, m.SCHEMA_HASH, 1, m.MAX_PAYLOAD, WINDOW, "bench")
    card.receive(b"\0" + encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 0x01, m.pack(hello))), 0)
    speech = encode_frame(Frame(Kind.AUDIO, 0, 0, 0, 0, 0x63, m.pack(m.AudioTx(0, 0, bytes(range(80))))))
    began = time.perf_counter()
    for _ in range(FRAMES):
        card.receive(speech, 0)
        while card.next_event() is not None:
            pass
    return (time.perf_counter() - began) / FRAMES * 1e6


def main() -> None:
    """Print it all; without a C compiler, say so."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            library = Library(build("library", folder))
        except BuildError as error:
            print(f"no reference device: {error}")
            return
        size(folder)
        print(f"a frame of speech: {microseconds(library.card(IDENTITY)):.1f} us in C (ctypes included), "
              f"{microseconds(CardLink(IDENTITY)):.1f} us in Python")  # fmt: skip


if __name__ == "__main__":
    main()
