"""The little of SDP (RFC 4566) that the library leaves to us: codecs, whether fax is wanted, and where we are heard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent.core.place import Place

_STATIC: Final = {"0": "PCMU", "8": "PCMA", "9": "G722"}
"""Payload types that mean a codec without an rtpmap (RFC 3551 §6)."""
_EVENTS: Final = "telephone-event"
_AUDIO: Final = re.compile(r"(m=audio \d+(?:/\d+)? [A-Z/]+)((?: \d{1,3})+)(?=\r?\n|$)")
_RTPMAP: Final = re.compile(r"^a=rtpmap:(\d{1,3}) ([^/\s]+)/(\d+)", re.MULTILINE)
_IMAGE: Final = re.compile(r"^m=image (\d+)", re.MULTILINE)
_SPEECH: Final = re.compile(r"^m=audio (\d+)", re.MULTILINE)
_IN_USE: Final = re.compile(r"^m=\w+ ([1-9]\d{0,4})(?=[ /])", re.MULTILINE)
_RTCP: Final = re.compile(r"^a=rtcp:(\d{1,5})(?=\s)[^\r\n]*", re.MULTILINE)
_CONNECTION: Final = re.compile(r"^c=IN (IP[46]) (?!0\.0\.0\.0\b)[^\r\n]+", re.MULTILINE)


def restrict(sdp: str, codecs: Sequence[str]) -> str:
    """The description with only these codecs (encoding names) in its audio, in this order, and telephone-events after
    them (RFC 3264 §5.1: the order is the preference). Unchanged where none of them is in it, or there is no audio.
    """
    audio = _AUDIO.search(sdp)
    if audio is None:
        return sdp
    names = {**_STATIC, **{match[1]: match[2] for match in _RTPMAP.finditer(sdp)}}
    types = audio[2].split()
    order = [codec.casefold() for codec in codecs]
    kept = sorted(
        (one for one in types if names.get(one, "").casefold() in order),
        key=lambda one: order.index(names[one].casefold()),
    )
    if not kept:
        return sdp
    kept += [one for one in types if names.get(one, "").casefold() == _EVENTS]
    gone = "|".join(one for one in types if one not in kept)
    text = sdp[: audio.start(2)] + "".join(f" {one}" for one in kept) + sdp[audio.end(2) :]
    return (
        re.sub(rf"^a=(?:rtpmap|fmtp|rtcp-fb):(?:{gone})[ \t][^\n]*\n", "", text, flags=re.MULTILINE) if gone else text
    )


def asks_for_fax(sdp: str) -> bool:
    """Whether an offer wants an image (T.38, ITU-T T.38 Annex D) in place of speech."""
    image, speech = _IMAGE.search(sdp), _SPEECH.search(sdp)
    return image is not None and int(image[1]) > 0 and (speech is None or int(speech[1]) == 0)


def speech_ports(sdp: str) -> tuple[int, int] | None:
    """The local ports of RTP and RTCP (RFC 3605); None where nothing, or more than one medium, is in use."""
    used = _IN_USE.findall(sdp)
    if len(used) != 1 or _SPEECH.search(sdp) is None:
        return None
    rtcp = _RTCP.search(sdp)
    return int(used[0]), int(rtcp[1]) if rtcp is not None else int(used[0]) + 1


def seen_from_outside(sdp: str, rtp: Place, rtcp: Place) -> str:
    """The description with these in place of our own addresses: where the far end reaches us (RFC 3264 §5.1).

    Unchanged where they are of another family than what stands there.
    """
    family = "IP6" if ":" in rtp.address else "IP4"
    if (":" in rtcp.address) != (":" in rtp.address) or {*_CONNECTION.findall(sdp)} != {family}:
        return sdp
    text = _CONNECTION.sub(f"c=IN {family} {rtp.address}", sdp)
    text = _IN_USE.sub(lambda found: found[0].replace(f" {found[1]}", f" {rtp.port}"), text, count=1)
    return _RTCP.sub(f"a=rtcp:{rtcp.port} IN {family} {rtcp.address}", text)
