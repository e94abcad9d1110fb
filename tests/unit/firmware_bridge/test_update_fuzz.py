"""The update's host side against a card that says anything at any time: it never fails, and always comes to an end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.image import Version, make_header, parse_image
from firmware_bridge.update import PATIENCE_MS, RESTART_PATIENCE_MS, WINDOW, Order, Phase, Progress, Updater
from firmware_bridge.vocabulary import Capability, FirmwareError, FirmwareState, Status

BODY = bytes(700)
IMAGE = parse_image(make_header(BODY, "h", Version(2, 0, 0)) + bytes(64) + BODY)
HELLO = m.HelloAck(1, 0, 0, 1, 1, 0, 244, 4, Capability.FIRMWARE_UPDATE, 2, (), "f-1.0.0", "h")
OVER = (Phase.DONE, Phase.ABORTED, Phase.FAILED, Phase.REFUSED)

progress = st.builds(
    m.FirmwareProgress, st.sampled_from(FirmwareState), st.sampled_from(FirmwareError), st.integers(0, 1000),
    st.integers(0, 1000), st.sampled_from(["f-1.0.0", "f-2.0.0", "", "?"]),
)  # fmt: skip
steps = st.one_of(
    st.tuples(st.just("answer"), st.sampled_from(Status), progress),
    st.tuples(st.just("lost")),
    st.tuples(st.just("session")),
    st.tuples(st.just("order")),
    st.tuples(st.just("abort")),
    st.tuples(st.just("wait"), st.integers(0, 5_000)),
)


@given(st.lists(steps, max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_the_card_says_it_ends(script):
    told: list[Progress] = []
    updater = Updater(told.append)
    now, flying = 0, []
    orders = 0

    def send():
        while (command := updater.wanted(now)) is not None:
            updater.sent(command)
            flying.append(command)
            assert len([one for one in flying if isinstance(one, m.FirmwareData)]) <= WINDOW

    for step in script:
        match step:
            case ("answer", status, result) if flying:
                command = flying.pop(0)
                has_result = isinstance(command, m.FirmwareBegin | m.FirmwareStatus) and status is Status.OK
                updater.answered(command, status, result if has_result else None, now)
            case ("lost",):
                flying.clear()
                updater.lost(now)
            case ("session",):
                flying.clear()
                updater.lost(now)
                updater.session(HELLO, now)
            case ("order",):
                orders += 1
                updater.order(Order(IMAGE, str(orders)), now)
            case ("abort",):
                updater.abort("why")
            case ("wait", ms):
                now += ms
                updater.tick(now)
        send()
    updater.tick(now + max(PATIENCE_MS, RESTART_PATIENCE_MS))
    assert not updater.active
    ends = [one.request for one in told if one.phase in OVER]
    assert sorted(ends) == sorted(str(number + 1) for number in range(orders)), "each order has one end"
    assert all(0 <= one.sent <= one.total for one in told)
