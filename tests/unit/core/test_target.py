"""Targets that can't be sent to are passed over; those that can say how by one reader."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core.target import TargetError, parse_target, usable
from agent.core.transports import Transport


@given(st.text(max_size=60))
def test_every_text_is_a_target_or_refused(text):
    found = usable(text)
    try:
        assert found == parse_target(text)
    except TargetError:
        assert found is None


def test_a_target_says_how_it_is_spoken_to_and_udp_where_it_does_not():
    assert usable("sip.example@192.0.2.1:5061;transport=tls").transport is Transport.TLS
    assert usable("192.0.2.1").transport is Transport.UDP
