"""Which codecs an offer names, and whether it asks for fax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.place import Place
from agent.gateway.daemon.sip.sdp import asks_for_fax, restrict, seen_from_outside, speech_ports

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 0 9 96 120\r\na=sendrecv\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:9 G722/8000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    "a=rtpmap:120 telephone-event/8000\r\na=fmtp:120 0-16\r\n"
)


def types(sdp: str) -> str:
    (line,) = [line for line in sdp.split("\r\n") if line.startswith("m=audio")]
    return line.partition("RTP/AVP ")[2]


@pytest.mark.parametrize(
    ("codecs", "left"),
    [
        (["PCMA", "PCMU", "G722", "opus"], "8 0 9 96 120"),
        (["G722", "PCMA"], "9 8 120"),
        (["opus"], "96 120"),
        (["pcmu"], "0 120"),
    ],
)
def test_only_these_are_offered_in_this_order_and_keys_still_travel(codecs, left):
    found = restrict(OFFER, codecs)
    assert types(found) == left
    for number in ("0", "8", "9", "96", "120"):
        assert (f"a=rtpmap:{number} " in found) is (number in left.split())
    assert ("useinbandfec" in found) is ("96" in left.split())
    assert "a=fmtp:120 0-16\r\n" in found
    assert found.startswith(OFFER[:70])


def test_static_types_need_no_rtpmap():
    bare = "v=0\r\nm=audio 40000 RTP/AVP 0 8 9\r\n"
    assert types(restrict(bare, ["PCMA"])) == "8"


def test_where_nothing_would_be_left_the_offer_stays():
    assert restrict(OFFER, ["GSM"]) == OFFER
    assert restrict("v=0\r\nm=image 4000 udptl t38\r\n", ["PCMA"]) == "v=0\r\nm=image 4000 udptl t38\r\n"


@given(st.text(max_size=300), st.lists(st.text(max_size=10), max_size=4))
def test_no_text_breaks_it(text, codecs):
    restrict(text, codecs)
    restrict(OFFER + text, [*codecs, "PCMA"])
    asks_for_fax(text)


@pytest.mark.parametrize(
    ("media", "fax"),
    [
        ("m=image 40910 udptl t38", True),
        ("m=audio 0 RTP/AVP 8\r\nm=image 40910 udptl t38", True),
        ("m=audio 40000 RTP/AVP 8\r\nm=image 40910 udptl t38", False),
        ("m=audio 40000 RTP/AVP 8\r\nm=image 0 udptl t38", False),
        ("m=audio 40000 RTP/AVP 8", False),
    ],
)
def test_fax_is_asked_for_where_the_image_takes_the_place_of_speech(media, fax):
    assert asks_for_fax(f"v=0\r\n{media}\r\na=T38FaxVersion:0\r\n") is fax


SPEECH = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 120\r\nc=IN IP4 192.0.2.2\r\na=rtcp:40001 IN IP4 192.0.2.2\r\na=rtpmap:8 PCMA/8000\r\n"
)
RTP, RTCP = Place("198.51.100.7", 7000), Place("198.51.100.7", 7103)


def test_speech_is_to_be_sent_where_it_is_seen_from_outside():
    assert speech_ports(SPEECH) == (40_000, 40_001)
    assert seen_from_outside(SPEECH, RTP, RTCP) == (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        "m=audio 7000 RTP/AVP 8 120\r\nc=IN IP4 198.51.100.7\r\na=rtcp:7103 IN IP4 198.51.100.7\r\n"
        "a=rtpmap:8 PCMA/8000\r\n"
    )


def test_a_medium_that_was_refused_stays_refused():
    answer = SPEECH.replace("t=0 0\r\n", "t=0 0\r\nm=video 0 RTP/AVP 31\r\n")
    assert speech_ports(answer) == (40_000, 40_001)
    assert "m=video 0 RTP/AVP 31\r\nm=audio 7000 RTP" in seen_from_outside(answer, RTP, RTCP)


def test_a_call_that_is_held_by_the_old_form_stays_held():
    held = SPEECH.replace("c=IN IP4 192.0.2.2", "c=IN IP4 0.0.0.0", 1)
    assert seen_from_outside(held, RTP, RTCP).count("c=IN IP4 0.0.0.0\r\n") == 1


def test_a_sixth_address_is_named_as_one_and_families_are_not_mixed():
    sixth = SPEECH.replace("IP4 192.0.2.2", "IP6 2001:db8::2")
    places = Place("2001:db8::7", 7000), Place("2001:db8::7", 7001)
    assert "c=IN IP6 2001:db8::7\r\n" in seen_from_outside(sixth, *places)
    assert seen_from_outside(sixth, RTP, RTCP) == sixth
    assert seen_from_outside(SPEECH, *places) == SPEECH
    assert seen_from_outside(SPEECH, RTP, places[1]) == SPEECH


@pytest.mark.parametrize(
    "sdp",
    ["", "v=0\r\n", SPEECH.replace("m=audio 40000", "m=audio 0"), SPEECH + "m=audio 40002 RTP/AVP 8\r\n",
     SPEECH.replace("m=audio", "m=video")],
)  # fmt: skip
def test_where_it_is_not_one_stream_of_speech_there_are_no_ports(sdp):
    assert speech_ports(sdp) is None


@given(st.text(max_size=200))
def test_no_text_breaks_the_places(text):
    for sdp in (text, SPEECH + text, text + SPEECH):
        speech_ports(sdp)
        seen_from_outside(sdp, RTP, RTCP)
