"""The reliable stream: numbering, acknowledging, repeating, giving up."""

import pytest

from firmware_bridge.reliable import MAX_SENDS, QUEUE_LIMIT, WINDOW, Arrival, LinkBusyError, Receiver, Sender

HEARD = 1 << 40
"""The other end spoke just now."""


def sender_with(count):
    sender = Sender()
    for _ in range(count):
        sender.offer(1, 0, 0x22, b"")
    return sender


def take_all(sender, now):
    return [frame.seq for frame in iter(lambda: sender.take(now), None)]


def test_no_more_than_a_window_is_unacknowledged():
    sender = sender_with(6)
    assert take_all(sender, 0) == [0, 1, 2, 3]
    sender.acknowledge(2, 5)
    assert take_all(sender, 5) == [4, 5]


def test_a_peer_with_a_smaller_window_is_respected():
    sender = sender_with(6)
    sender.use_window(1)
    assert take_all(sender, 0) == [0]


@pytest.mark.parametrize("ack", [0, 5, 200])
def test_an_acknowledgement_of_what_was_never_sent_is_ignored(ack):
    sender = sender_with(4)
    take_all(sender, 0)
    sender.acknowledge(ack, 1)
    assert sender.waiting == 4


def test_numbers_go_round():
    sender = Sender()
    for number in range(600):
        assert sender.offer(1, 0, 0, b"") == number % 256
        assert take_all(sender, number) == [number % 256]
        sender.acknowledge((number + 1) % 256, number)
    assert sender.waiting == 0


def test_the_timer_repeats_everything_unacknowledged_and_doubles():
    sender = sender_with(2)
    take_all(sender, 0)
    first = sender.deadline()
    assert sender.expire(first, 0)
    assert take_all(sender, first) == [0, 1]
    assert sender.deadline() - first == 2 * first
    assert sender.retransmissions == 2


def test_a_quick_wire_gets_a_short_timer_and_a_slow_one_a_long_one():
    deadlines = []
    for rtt in (1, 200):
        sender = Sender()
        for turn in range(20):
            sender.offer(1, 0, 0, b"")
            take_all(sender, turn * 1000)
            sender.acknowledge(turn + 1, turn * 1000 + rtt)
        sender.offer(1, 0, 0, b"")
        take_all(sender, 50_000)
        deadlines.append(sender.deadline() - 50_000)
        assert sender.rtt_ms == rtt
    assert deadlines[0] == 20
    assert 200 < deadlines[1] <= 1000


def test_it_gives_up_only_without_progress():
    sender = sender_with(3)
    for turn in range(3):
        for _ in range(MAX_SENDS - 1):
            take_all(sender, 0)
            assert sender.expire(sender.deadline(), HEARD)
        take_all(sender, 0)
        sender.acknowledge(turn + 1, 0)
    sender.offer(1, 0, 0, b"")
    outcomes = []
    for _ in range(MAX_SENDS):
        take_all(sender, 0)
        outcomes.append(sender.expire(sender.deadline(), HEARD))
    assert outcomes == [True] * (MAX_SENDS - 1) + [False]


def test_a_silent_end_is_left_to_the_silence_timer():
    sender = sender_with(1)
    take_all(sender, 0)
    for _ in range(3 * MAX_SENDS):
        due = sender.deadline()
        assert sender.expire(due, heard_ms=0)
        assert take_all(sender, due) == [0]


def test_words_spoken_before_the_last_send_are_no_sign_of_a_deaf_end():
    sender = sender_with(1)
    take_all(sender, 0)
    for _ in range(MAX_SENDS):
        due = sender.deadline()
        assert sender.expire(due, heard_ms=0)
        take_all(sender, due)
    assert sender.expire(sender.deadline(), HEARD)


def test_a_number_that_is_not_wanted_now_waits_but_repeats_go_on():
    sender = sender_with(2)
    sender.take(0)
    assert sender.take(0, fresh=False) is None
    sender.rewind()
    assert sender.take(0, fresh=False).seq == 0
    assert sender.take(0).seq == 1


def test_a_full_queue_is_refused():
    sender = sender_with(QUEUE_LIMIT)
    with pytest.raises(LinkBusyError, match=str(QUEUE_LIMIT)):
        sender.offer(1, 0, 0, b"")


def test_the_receiver_tells_new_from_old_and_from_too_early():
    receiver = Receiver()
    assert [receiver.arrive(seq) for seq in (0, 0, 2, 1, 255)] == [
        Arrival.NEW, Arrival.DUPLICATE, Arrival.GAP, Arrival.NEW, Arrival.DUPLICATE,
    ]  # fmt: skip
    assert (receiver.expected, receiver.gaps, receiver.duplicates) == (2, 1, 2)


def test_a_gap_is_complained_of_once():
    receiver = Receiver()
    receiver.arrive(WINDOW)
    assert [receiver.complain(), receiver.complain()] == [True, False]
    receiver.arrive(0)
    assert receiver.complain()
