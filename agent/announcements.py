"""An operator's own recordings: whether the folder that `general.announcements` names can be used."""

from __future__ import annotations

from pathlib import Path

from agent.core.announcement import Announcement, Language
from agent.gateway.recording import MAX_BYTES, RecordingError, read_recording


class AnnouncementsError(Exception):
    """A folder of recordings cannot be used; the message names the file."""


def check_folder(folder: Path) -> None:
    """Look at every recording in `folder`, which may hold any part of them: LANGUAGE/NAME.wav.

    Raises AnnouncementsError naming the first file that no telephone could be sent, or that nothing would ever play.
    """
    if not folder.is_dir():
        raise AnnouncementsError(f"{folder}: there is no such folder; make it, or leave the setting out")
    for language in Language:
        for path in sorted((folder / language).glob("*")):
            if path.suffix != ".wav" or path.stem not in frozenset(Announcement):
                names = ", ".join(Announcement)
                raise AnnouncementsError(f"{path}: no announcement has this name; the names, each with .wav: {names}")
            try:
                with path.open("rb") as file:
                    read_recording(file.read(MAX_BYTES + 1))
            except OSError as error:
                raise AnnouncementsError(f"{path}: it cannot be read ({error.strerror}); check its owner") from error
            except RecordingError as error:
                raise AnnouncementsError(f"{path}: {error}") from error
