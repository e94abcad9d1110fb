"""What is left of a pack: used here and elsewhere, held for calls in progress, given back."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core.packbook import PackBook
from agent.core.packs import Pack, PackUse

MONTH, NEXT = "2026-11", "2026-12"
PACK = Pack("norden", ("46",), 600)


def left(book, call_id="", month=MONTH):
    (balance,) = book.balances([PACK], call_id)
    return balance.left_s(month)


def test_what_was_used_here_and_elsewhere_is_gone_in_its_month_alone():
    book = PackBook()
    book.load(MONTH, {"norden": 100, "other": 50})
    book.observe(MONTH, {"norden": 200}, {})
    assert (left(book), left(book, month=NEXT)) == (300, 600)


def test_a_call_holds_seconds_against_others_and_not_against_itself():
    book = PackBook()
    book.hold("a", [PackUse("norden", MONTH, 500), PackUse("norden", NEXT, 20)])
    assert (left(book, "b"), left(book, "a"), left(book, "b", NEXT)) == (100, 600, 580)
    book.hold("a", [PackUse("norden", MONTH, 50)])
    assert left(book, "b") == 550, "a new grant takes the place of the one before"
    book.release("a")
    assert left(book, "b") == 600


def test_what_a_call_did_not_need_is_given_back_at_its_end():
    book = PackBook()
    book.hold("a", [PackUse("norden", MONTH, 500)])
    book.settle("a", [PackUse("norden", MONTH, 30)])
    assert left(book) == 570
    assert book.used_s("norden", MONTH) == 30


def test_the_operator_s_count_of_this_adapter_stands_in_for_one_that_was_lost_and_counts_nothing_twice():
    book = PackBook()
    book.load(MONTH, {"norden": 100})
    book.observe(MONTH, {}, {"norden": 80})
    assert book.used_s("norden", MONTH) == 100
    book.load(MONTH, {})
    assert book.used_s("norden", MONTH) == 80


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300), st.booleans()), max_size=20))
def test_no_second_is_offered_to_two_calls(story):
    book = PackBook()
    taken: dict[str, int] = {}
    for call_id, wanted, ends in story:
        held = min(wanted, left(book, call_id))
        book.hold(call_id, [PackUse("norden", MONTH, held)])
        taken[call_id] = held
        if ends:
            book.settle(call_id, [PackUse("norden", MONTH, taken.pop(call_id))])
        assert book.used_s("norden", MONTH) + sum(taken.values()) <= PACK.seconds
