"""A country's wires in the words of the line card."""

from __future__ import annotations

import msgspec
import pytest

import firmware_bridge as bridge
from agent.core.terms import LineProfile
from agent.data import DataError, load_tones
from agent.gateway.analogue import Analogue, CallerDisplay, DisplayMethod, DisplayMoment, HookTimes
from agent.gateway.daemon.analogue import cadence_of, line_profile
from agent.gateway.protocol import Line

LINE = Line(line=0, account="a", number="+4722000001", profile=LineProfile.FAX, send_gain_ddb=-30)


def test_a_line_is_told_its_country_its_window_for_recalls_and_what_hangs_on_it():
    profile = line_profile(load_tones().analogue, LINE)
    assert (profile.country, profile.profile, profile.tx_gain_cdb) == ("no", bridge.LineProfile.FAX, -300)
    assert (profile.flash_min_ms, profile.flash_max_ms, profile.ring_hz, profile.impedance) == (76, 500, 25, 1)


def test_the_checksum_is_the_countrys_and_no_lines():
    norway, sweden = load_tones().analogue, load_tones(country="se").analogue
    plain = msgspec.structs.replace(LINE, profile=LineProfile.PHONE, send_gain_ddb=0)
    assert line_profile(norway, LINE).crc32 == line_profile(norway, plain).crc32
    assert line_profile(norway, LINE).crc32 != line_profile(sweden, LINE).crc32


@pytest.mark.parametrize("country", ["no", "se", "dk", "fi", "gb"])
def test_every_country_that_is_shipped_has_its_wires_and_its_ringings(country):
    analogue = load_tones(country=country).analogue
    assert analogue.country == country
    assert len({tuple(ring.cadence_ms) for ring in analogue.rings}) == len(analogue.rings) >= 4
    assert analogue.caller_display.method is not DisplayMethod.OFF
    words = [word for ring in analogue.rings for word in ring.alert]
    assert len(words) == len(set(words))


def test_a_ringing_that_the_country_does_not_have_is_the_usual_one():
    analogue = load_tones().analogue
    assert cadence_of(analogue, "internal", (1000, 4000)) == [800, 400, 800, 4000]
    assert cadence_of(analogue, "", (1000, 4000)) == (1000, 4000)


def test_what_is_particular_about_the_telephones_goes_over_the_country():
    kept = {"flash_min_ms": 0, "flash_max_ms": 0, "caller_id": "country", "moment": "country", "in_calls": True}
    norway = load_tones()
    assert norway.with_telephones(**kept) == norway
    changed = norway.with_telephones(
        **{**kept, "flash_max_ms": 300, "caller_id": "dtmf", "moment": "before_ring", "in_calls": False}
    )
    assert changed.analogue.hook == HookTimes(flash_max_ms=300)
    assert changed.analogue.caller_display == CallerDisplay(
        method=DisplayMethod.DTMF, moment=DisplayMoment.BEFORE_RING, in_calls=False
    )
    with pytest.raises(DataError, match="telephones: flash_min_ms: found 60; it must be longer than the longest dial"):
        norway.with_telephones(**{**kept, "flash_min_ms": 60})


@pytest.mark.parametrize("fields", [{"flash_min_ms": 75}, {"flash_min_ms": 500, "flash_max_ms": 500}])
def test_a_window_in_which_no_recall_fits_is_refused(fields):
    with pytest.raises(msgspec.ValidationError, match="flash_m"):
        msgspec.convert({"hook": fields}, Analogue)
