"""Speaks the announcements with espeak-ng, from the catalogue of texts into WAV files (`make announcements`).

The same sentences and the same espeak-ng give the same bytes. `spoken.toml` beside them tells what was spoken, so that
a sentence that has changed since is found.
"""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import wave
from operator import mul
from pathlib import Path
from typing import Final

from agent.core.announcement import Announcement, Language
from agent.files import write_whole
from agent.gateway.recording import RATE, read_recording, write_recording
from agent.paths import data_dir
from agent.texts import Texts
from firmware_bridge.g711 import encode_alaw

MANIFEST: Final = "spoken.toml"
_VOICES: Final = {Language.NB: ("nb", 145), Language.EN: ("en-gb", 150)}
"""Voice and words a minute: slower than espeak-ng's own 175, for a narrow band and old ears."""

LEVEL_DBM0: Final = -18.0
"""Active speech, a little louder than a far talker (ITU-T P.56 and G.101: about -20)."""
_SINE_DBM0: Final = 3.14
"""Level of a sine that fills the A-law range (ITU-T G.711)."""
_QUIET: Final = 200
_LEAD: Final = RATE * 60 // 1000
_TAIL: Final = RATE * 150 // 1000
_PASS_HZ: Final = 3500
_HALF_TAPS: Final = 40


class SpeakingError(Exception):
    """espeak-ng could not speak a sentence; the message is its own."""


def speak(text: str, language: Language) -> bytes:
    """The A-law of a spoken sentence. Raises SpeakingError."""
    voice, speed = _VOICES[language]
    try:
        done = subprocess.run(
            ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", text], capture_output=True, check=False
        )
    except OSError as error:
        raise SpeakingError(f"espeak-ng could not be started ({error.strerror}); run make peers") from error
    if done.returncode:
        raise SpeakingError(f"espeak-ng: {done.stderr.decode(errors='replace').strip()}")
    # espeak-ng writes to a pipe and leaves the length open; the wave module takes what there is.
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate = file.getframerate()
        pcm = file.readframes(len(done.stdout))
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
    return encode_alaw(_levelled(_trimmed(_resampled(samples, rate))))


def version() -> str:
    """What espeak-ng calls itself, without the place of its data. Raises SpeakingError."""
    try:
        done = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SpeakingError("espeak-ng could not be started; run make peers") from error
    return done.stdout.partition("Data at")[0].strip()


def _resampled(samples: tuple[int, ...], rate: int) -> list[float]:
    """Band-limited to 3.5 kHz and sampled anew at 8000 Hz: one windowed sinc for each phase."""
    divisor = math.gcd(rate, RATE)
    step, phases = rate // divisor, RATE // divisor
    filters = [_filter(phase * step % phases / phases, rate) for phase in range(phases)]
    padded = (*[0] * _HALF_TAPS, *samples, *[0] * (_HALF_TAPS + 1))
    out = []
    for number in range(len(samples) * phases // step):
        whole = number * step // phases
        out.append(sum(map(mul, filters[number % phases], padded[whole : whole + 2 * _HALF_TAPS])))
    return out


def _filter(fraction: float, rate: int) -> list[float]:
    taps = []
    for index in range(2 * _HALF_TAPS):
        distance = index - _HALF_TAPS - fraction
        x = 2 * _PASS_HZ / rate * distance
        window = 0.5 + 0.5 * math.cos(math.pi * distance / (_HALF_TAPS + 1))
        taps.append(window * (math.sin(math.pi * x) / (math.pi * x) if x else 1.0))
    gain = sum(taps)
    return [tap / gain for tap in taps]


def _trimmed(samples: list[float]) -> list[float]:
    loud = [at for at, sample in enumerate(samples) if abs(sample) > _QUIET]
    if not loud:
        raise SpeakingError("espeak-ng said nothing")
    return [*[0.0] * _LEAD, *samples[loud[0] : loud[-1] + 1], *[0.0] * _TAIL]


def _levelled(samples: list[float]) -> bytes:
    """16-bit PCM whose loud parts have the wanted level."""
    active = [sample for sample in samples if abs(sample) > _QUIET]
    rms = math.sqrt(sum(sample * sample for sample in active) / len(active))
    wanted = 32767 / math.sqrt(2) * 10 ** ((LEVEL_DBM0 - _SINE_DBM0) / 20)
    scaled = [max(-32768, min(32767, round(sample * wanted / rms))) for sample in samples]
    return struct.pack(f"<{len(scaled)}h", *scaled)


def speak_all(folder: Path) -> int:
    """Speak every announcement in every language into `folder`; returns the bytes written. Raises SpeakingError."""
    texts = Texts.load()
    total = 0
    manifest = ["# What the recordings here say, and who spoke it. Written by `make announcements`.", ""]
    manifest += [f'program = "{version()}"']
    for language in Language:
        (folder / language).mkdir(parents=True, exist_ok=True)
        for path in (folder / language).glob("*.wav"):
            path.unlink()
        manifest += ["", f"[{language}]"]
        for announcement in Announcement:
            sentence = texts.say(f"announcement.{announcement}", language)
            body = write_recording(speak(sentence, language))
            # Too long for a telephone is too long in the shop as well.
            read_recording(body)
            write_whole(folder / language / f"{announcement}.wav", body, mode=0o644, durable=False)
            manifest.append(f'{announcement} = "{sentence}"')
            total += len(body)
    write_whole(folder / MANIFEST, ("\n".join(manifest) + "\n").encode(), mode=0o644, durable=False)
    return total


def main() -> int:
    """Speak into the folder named on the command line, or into the shipped data."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else data_dir() / "announcements"
    total = speak_all(folder)
    print(f"{folder}: {len(Announcement)} announcements in {len(Language)} languages, {total} bytes")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
