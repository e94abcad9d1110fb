"""When an INVITE has to wait because the library could run out of sockets."""

from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.sockets import MediaSockets


def test_ordinary_calls_never_wait():
    sockets = MediaSockets()
    for now in range(0, 100_000, 100):
        assert sockets.wait_ms(4, now) == 0
        sockets.ended(now)


def test_a_flood_waits_until_the_oldest_sockets_are_free():
    sockets = MediaSockets()
    for now in range(25):
        sockets.ended(now)
    assert sockets.wait_ms(3, 25) == 0
    assert sockets.wait_ms(4, 25) == 0 + 550 - 25
    assert sockets.wait_ms(6, 25) == 2 + 550 - 25
    assert sockets.wait_ms(4, 550) == 0


def test_our_own_call_finds_room_where_others_have_to_wait():
    sockets = MediaSockets()
    for now in range(26):
        sockets.ended(now)
    assert sockets.wait_ms(3, 26) > 0
    assert sockets.wait_ms(4, 26, ours=True) == 0
    assert sockets.wait_ms(5, 26, ours=True) == 550 - 26


def test_calls_that_go_on_are_no_reason_to_wait_for_ever():
    assert MediaSockets().wait_ms(40, 0) == 0


@given(st.lists(st.integers(0, 5), max_size=300))
def test_no_more_than_the_library_has_are_ever_open(pauses):
    sockets, now, closing = MediaSockets(), 0, []
    for pause in pauses:
        now += pause
        now += sockets.wait_ms(4, now)
        sockets.ended(now)
        closing = [at for at in closing if at + 500 > now] + [now]
        assert 2 * (4 + len(closing)) <= 60
