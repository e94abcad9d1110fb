"""The operator's count beside our own: what delay explains is no difference, and what nothing explains is one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.reconcile import Count, MonthCount, Told, differences

OWN = "+4722000001"
numbers = st.integers(0, 10**6)
counts = st.builds(Count, numbers, numbers, numbers)
months = st.builds(
    MonthCount,
    st.dictionaries(st.sampled_from([OWN, "+4722000002", ""]), counts, max_size=3),
    st.dictionaries(st.sampled_from(["a", "b"]), numbers, max_size=2),
)


def told(month: MonthCount, *, by_number: bool = True, alone: bool = True) -> Told:
    return Told(month.total(), month.packs, month.numbers if by_number else None, alone)


@given(months, months, st.booleans())
def test_whatever_is_under_way_explains_the_difference(
    done: MonthCount, under_way: MonthCount, by_number: bool
) -> None:
    made = done.plus(under_way)
    for seen in (done, made):
        assert differences(done, made, told(seen, by_number=by_number)) == ()


@given(months, months, counts, st.booleans())
def test_what_lies_outside_is_found_and_named(
    done: MonthCount, under_way: MonthCount, more: Count, by_number: bool
) -> None:
    made = done.plus(under_way)
    extra = MonthCount({OWN: Count(more.calls + 1, more.seconds, more.amount_micro)})
    (found,) = differences(done, made, told(made.plus(extra), by_number=by_number))
    assert found.number == (OWN if by_number else "")
    assert found.told.calls - found.here.calls == more.calls + 1
    (missing,) = differences(done.plus(extra), made.plus(extra), told(done, by_number=by_number))
    assert missing.here.calls - missing.told.calls == more.calls + 1


def test_a_lost_pack_second_is_a_difference_of_that_pack() -> None:
    done = MonthCount({OWN: Count(2, 120, 0)}, {"norden": 120})
    (found,) = differences(done, done, told(MonthCount({OWN: Count(2, 120, 0)}, {"norden": 60})))
    assert (found.pack, found.here.seconds, found.told.seconds, found.amount_micro) == ("norden", 120, 60, 0)


def test_more_than_ours_says_nothing_where_devices_are_not_told_apart_and_less_does() -> None:
    done = MonthCount({OWN: Count(2, 120, 3_000_000)})
    more, less = (MonthCount({OWN: Count(calls, 120, 3_000_000)}) for calls in (9, 1))
    assert differences(done, done, told(more, alone=False)) == ()
    (found,) = differences(done, done, told(less, alone=False))
    assert (found.here.calls, found.told.calls) == (2, 1)


def test_a_correction_under_way_may_also_make_less() -> None:
    done, made = MonthCount({OWN: Count(2, 120, 3_000_000)}), MonthCount({OWN: Count(2, 120, 1_000_000)})
    assert differences(done, made, told(made)) == ()
    assert differences(done, made, told(done)) == ()
    (found,) = differences(done, made, told(MonthCount({OWN: Count(2, 120, 500_000)})))
    assert found.here.amount_micro == 1_000_000
