"""How long nothing has come from the far end of a call."""

from agent.core.silence import ReceiveWatch


def looks(*samples):
    watch = ReceiveWatch()
    return [watch.look(received, now, held=held) for received, now, held in samples]


def test_silence_is_counted_from_the_last_arrival():
    assert looks((10, 0, False), (60, 1000, False), (60, 2000, False), (60, 31_000, False)) == [0, 0, 1000, 30_000]


def test_anything_that_comes_ends_it():
    assert looks((10, 0, False), (10, 29_000, False), (11, 30_000, False), (11, 31_000, False)) == [0, 29_000, 0, 1000]


def test_a_held_call_is_exempt_and_begins_anew_when_it_comes_back():
    assert looks((10, 0, False), (10, 20_000, True), (10, 50_000, True), (10, 51_000, False), (10, 52_000, False)) == [
        0, 0, 0, 0, 1000,
    ]  # fmt: skip


def test_another_stream_begins_anew():
    assert looks((500, 0, False), (500, 9000, False), (0, 10_000, False), (0, 12_000, False)) == [0, 9000, 0, 2000]


def test_a_call_that_never_hears_anything_is_silent_from_its_first_sample():
    assert looks((0, 5000, False), (0, 35_000, False)) == [0, 30_000]
