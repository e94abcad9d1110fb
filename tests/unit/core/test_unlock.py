"""Six digits that change, and are not to be guessed."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from agent.core.unlock import (
    CODE_LIFE_MS,
    CODES,
    MAX_WRONG,
    UNLOCKED_MS,
    WRONG_WINDOW_MS,
    CodeVerdict,
    UnlockDesk,
)


def desk(first: int = 41) -> UnlockDesk:
    numbers = count(first)
    return UnlockDesk(lambda: next(numbers))


def test_a_code_is_six_digits_holds_for_ten_minutes_and_is_another_then():
    one = desk()
    assert one.code(1000) == ("000041", 1000 + CODE_LIFE_MS)
    assert one.code(CODE_LIFE_MS + 999) == ("000041", 1000 + CODE_LIFE_MS)
    assert one.code(CODE_LIFE_MS + 1000) == ("000042", 1000 + 2 * CODE_LIFE_MS)
    assert one.dialled("000041", CODE_LIFE_MS + 1001) is CodeVerdict.WRONG


def test_a_code_admits_once_and_for_an_hour():
    one = desk()
    assert one.unlocked_until(0) is None
    assert one.dialled("000041", 10) is CodeVerdict.ACCEPTED
    assert one.unlocked_until(10) == 10 + UNLOCKED_MS
    assert one.dialled("000041", 20) is CodeVerdict.WRONG
    assert one.code(20)[0] == "000042"
    assert one.unlocked_until(9 + UNLOCKED_MS) == 10 + UNLOCKED_MS
    assert one.unlocked_until(10 + UNLOCKED_MS) is None


def test_a_session_can_be_ended():
    one = desk()
    one.dialled("000041", 10)
    one.lock()
    assert one.unlocked_until(11) is None


def test_the_same_number_drawn_again_is_not_the_same_code_again():
    numbers = iter([7, 7, 7, 8])
    one = UnlockDesk(lambda: next(numbers))
    assert one.dialled("000007", 0) is CodeVerdict.ACCEPTED
    assert one.code(0)[0] == "000008"


def test_after_five_wrong_codes_the_right_one_is_refused_until_they_are_old():
    one = desk()
    for number in range(MAX_WRONG):
        assert one.dialled("999999", number * 1000) is CodeVerdict.WRONG
    assert one.locked_until(5000) == WRONG_WINDOW_MS
    assert one.dialled(one.code(5000)[0], 5000) is CodeVerdict.LOCKED
    assert one.unlocked_until(5000) is None
    late = WRONG_WINDOW_MS
    assert one.locked_until(late) is None
    assert one.dialled(one.code(late)[0], late) is CodeVerdict.ACCEPTED


def test_a_right_code_forgives_the_wrong_ones_before_it():
    one = desk()
    for _ in range(MAX_WRONG - 1):
        one.dialled("999999", 0)
    assert one.dialled(one.code(0)[0], 0) is CodeVerdict.ACCEPTED
    for _ in range(MAX_WRONG - 1):
        assert one.dialled("999999", 1) is CodeVerdict.WRONG
    assert one.locked_until(1) is None


@given(
    st.lists(st.tuples(st.integers(0, 20 * 60_000), st.booleans()), max_size=60),
    st.integers(0, CODES - 1),
)
def test_nobody_gets_more_than_five_guesses_in_a_quarter_of_an_hour(tries, seed):
    numbers = count(seed)
    one = UnlockDesk(lambda: next(numbers) * 7919)
    now, guesses = 0, []
    for pause, right in tries:
        now += pause
        code = one.code(now)[0]
        verdict = one.dialled(code if right else f"{(int(code) + 1) % CODES:06d}", now)
        locked = sum(now - at < WRONG_WINDOW_MS for at in guesses[-MAX_WRONG:]) >= MAX_WRONG
        assert (verdict is CodeVerdict.LOCKED) == locked
        if verdict is CodeVerdict.WRONG:
            guesses.append(now)
        elif verdict is CodeVerdict.ACCEPTED:
            guesses.clear()
            assert right
