"""What may still be spent: caps and prepaid balance, reserved for each call before it is dialled, released at its end.

The model is the limit that mobile operators offer (Telenor's Beløpsgrense): a warning before the limit, the call cut at
the limit; incoming, emergency and toll-free calls go on. A call reserves a slice, is granted the time which that slice
pays, and asks again before it ends. What is spent and what is reserved never exceed a cap together; a call that is cut
late exceeds it by what it talks beyond its grant, an increment at most if it is cut within one.

A cap covers a call when it bears the month in which the call began. Other devices of the customer count as soon as the
operator has told of them (`observe`), so within one poll.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final, Protocol

from msgspec import Struct, structs

from agent.core.charge import HORIZON_MS, Terms, max_duration, price_by
from agent.core.numbers import NumberClass
from agent.core.terms import CallKind, Direction

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_BUCKET_MS: Final = 60_000
_SHARE: Final = 4
"""A long slice takes no more than this part of what is left under the nearest cap."""

EXEMPT_CLASSES: Final = frozenset({NumberClass.EMERGENCY, NumberClass.TOLL_FREE, NumberClass.SOCIAL})


class Cap(enum.StrEnum):
    """What can refuse or end a call for the sake of money; each has a sentence `limit.CAP`."""

    CALL = "call"
    MONTH = "month"
    ABROAD = "abroad"
    PREMIUM = "premium"
    HOUR = "hour"
    DAY = "day"
    BALANCE = "balance"
    PRICE_LIST = "price_list"
    """Not a cap of the customer: from here on the price list has no price, or ends the call at its maximum."""
    LEASE = "lease"
    """Nor is this: the agent, which would have granted more, was not there to do so."""


_CLASS_CAPS: Final = {NumberClass.INTERNATIONAL: Cap.ABROAD, NumberClass.PREMIUM: Cap.PREMIUM}


class Price(Protocol):
    """What a call costs, and how long it may be for a sum: inverse to each other."""

    def cost_micro(self, duration_ms: int) -> int:
        """Micro-units for an answered time."""

    def longest_ms(self, budget_micro: int | None) -> int:
        """The longest answered time that costs no more; 0 where not even the beginning fits."""


class TermsPrice(Struct, frozen=True):
    """The price of a call by its terms, never for longer than `horizon_ms`."""

    terms: Terms
    horizon_ms: int = HORIZON_MS

    def cost_micro(self, duration_ms: int) -> int:
        """Micro-units for an answered time. Raises as `agent.core.charge.price_by` does."""
        return price_by(self.terms, duration_ms, explain=False).amount_micro

    def longest_ms(self, budget_micro: int | None) -> int:
        """The longest answered time that costs no more; 0 where not even the beginning fits."""
        return max_duration(self.terms, budget_micro, horizon_ms=self.horizon_ms)


class Limits(Struct, frozen=True):
    """Caps in micro-units; None: no such cap. Hour and day roll: the last 60 minutes, the last 24 hours.

    A call reserves `slice_micro` at a time; more where it takes no more than its share of what is left: the price of
    `slice_ms`; and the next increment at least. A call that could not last `least_ms` is not begun: where a list rounds
    a second down to nothing, nobody is connected for it. The warning sounds `warn_ms` before a cap ends the call.
    """

    call_micro: int | None = None
    month_micro: int | None = None
    abroad_micro: int | None = None
    premium_micro: int | None = None
    hour_micro: int | None = None
    day_micro: int | None = None
    slice_micro: int = 5_000_000
    slice_ms: int = 900_000
    least_ms: int = 5_000
    warn_ms: int = 60_000


class Spent(Struct, frozen=True):
    """Micro-units spent in a calendar month (`2026-11`): in all, and of that abroad and on premium numbers."""

    month: str
    total_micro: int = 0
    abroad_micro: int = 0
    premium_micro: int = 0

    def plus(self, amount_micro: int, cap: Cap | None) -> Spent:
        """Return the sum with one call of a class (its cap, if it has one) added."""
        return structs.replace(
            self,
            total_micro=self.total_micro + amount_micro,
            abroad_micro=self.abroad_micro + (amount_micro if cap is Cap.ABROAD else 0),
            premium_micro=self.premium_micro + (amount_micro if cap is Cap.PREMIUM else 0),
        )

    def at_least(self, other: Spent) -> Spent:
        """Return the greater of each sum: two counts of the same calls, of which either may lag."""
        return Spent(
            self.month, max(self.total_micro, other.total_micro), max(self.abroad_micro, other.abroad_micro),
            max(self.premium_micro, other.premium_micro),
        )  # fmt: skip

    def of(self, cap: Cap) -> int:
        """The sum that a cap of the month is measured against."""
        match cap:
            case Cap.ABROAD:
                return self.abroad_micro
            case Cap.PREMIUM:
                return self.premium_micro
            case _:
                return self.total_micro


class Reservation(Struct, frozen=True):
    """The call may last `duration_ms` from its answer; `amount_micro` is set aside for it.

    `cap` is what ends it then, with a warning at `warn_ms`; where both are None, ask again before the time is over.
    """

    call_id: str
    amount_micro: int
    duration_ms: int
    cap: Cap | None = None
    warn_ms: int | None = None


class Shortfall(Struct, frozen=True):
    """Connect fee and first increment do not fit under `cap`; None: the call has no price at all."""

    cap: Cap | None


class _Held(Struct, frozen=True):
    month: str
    class_cap: Cap | None
    amount_micro: int = 0
    duration_ms: int = 0


def is_exempt(direction: Direction, kind: CallKind, number_class: NumberClass) -> bool:
    """Whether no cap may refuse or end such a call."""
    return direction is Direction.INCOMING or kind is CallKind.EMERGENCY or number_class in EXEMPT_CLASSES


class Budget:
    """All reservations of one adapter, and what has been spent. Times are milliseconds of a clock that never goes back.

    `balance_micro` is prepaid money (None: billed in arrears); `recent` are amounts with their times, for hour and day.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        here: Spent,
        balance_micro: int | None = None,
        recent: Iterable[tuple[int, int]] = (),
    ) -> None:
        self._limits = limits
        self._here = {here.month: here}
        self._elsewhere: dict[str, Spent] = {}
        self._balance_micro = balance_micro
        self._recent: list[tuple[int, int]] = sorted(recent)
        self._held: dict[str, _Held] = {}
        self._told: dict[str, Spent] = {}

    @property
    def limits(self) -> Limits:
        """The caps in force."""
        return self._limits

    @property
    def balance_micro(self) -> int | None:
        """What is left of prepaid money, calls in progress not counted; None: billed in arrears."""
        return self._balance_micro

    def change(self, limits: Limits, balance_micro: int | None) -> None:
        """Take other caps and another balance; calls in progress meet them when they ask again."""
        self._limits = limits
        self._balance_micro = balance_micro

    def load(self, here: Spent) -> None:
        """Take this adapter's own count of one more month, from before it was started."""
        self._here[here.month] = here

    def holds(self, call_id: str) -> bool:
        """Whether something was granted to the call that has not been settled."""
        return call_id in self._held

    def spent(self, month: str) -> Spent:
        """What was spent in a month, here and elsewhere."""
        return self._spent(month)

    def here(self, month: str) -> Spent:
        """What was spent in a month here, as far as it was counted here."""
        return self._here.get(month, Spent(month))

    def spent_since(self, after_ms: int) -> int:
        """Micro-units of the calls here that ended after a moment, at most a day ago."""
        return self._since(after_ms)

    def spent_micro(self, month: str) -> int:
        """Micro-units spent in a month, here and elsewhere."""
        return self._spent(month).total_micro

    @property
    def reserved_micro(self) -> int:
        """Micro-units set aside for calls in progress."""
        return sum(held.amount_micro for held in self._held.values())

    def observe(self, elsewhere: Spent, balance_micro: int | None = None, told: Spent | None = None) -> None:
        """Take the operator's newest word: what other devices have spent, and the balance without calls in progress.

        `told`: this adapter's own spending as the operator has it; it counts where that here has been lost.
        """
        self._elsewhere[elsewhere.month] = elsewhere
        if told is not None:
            self._told[told.month] = told
        self._balance_micro = balance_micro
        self._forget_old_months()

    def reserve(
        self,
        call_id: str,
        number_class: NumberClass,
        price: Price,
        *,
        month: str,
        now_ms: int,
        talked_ms: int | None = None,
    ) -> Reservation | Shortfall:
        """Set money aside for a call, or more of it for one in progress: the answer counts from the call's beginning.

        `month` is the one in which the call began. Exempt classes need no money. A call in progress for which the money
        no longer suffices (other devices have spent it) is granted less than before. `talked_ms`: so much of it is
        spent already, and the next slice is counted from there; None: all that was granted.
        """
        held = self._held.get(call_id, _Held(month, _CLASS_CAPS.get(number_class)))
        if talked_ms is not None:
            held = structs.replace(held, duration_ms=talked_ms, amount_micro=self._cost_micro(price, talked_ms))
        available, cap = self._available(call_id, held, now_ms)
        unlimited = price.longest_ms(None)
        if available is None or number_class in EXEMPT_CLASSES:
            if unlimited:
                self._held[call_id] = held
            return Reservation(call_id, 0, unlimited) if unlimited else Shortfall(None)
        longest = price.longest_ms(available)
        too_short = not held.duration_ms and longest < min(unlimited, self._limits.least_ms)
        if longest == 0 or too_short:
            return Shortfall(cap if unlimited else None)
        duration = longest
        if longest > held.duration_ms:
            # A slice, or the next increment where that is dearer.
            slice_micro = held.amount_micro + self._limits.slice_micro
            long_micro = price.cost_micro(min(longest, held.duration_ms + self._limits.slice_ms))
            share_micro = held.amount_micro + (available - held.amount_micro) // _SHARE
            wanted = max(slice_micro, min(long_micro, share_micro), price.cost_micro(held.duration_ms + 1))
            duration = min(longest, price.longest_ms(wanted))
        amount = price.cost_micro(duration)
        self._held[call_id] = structs.replace(held, amount_micro=amount, duration_ms=duration)
        if duration < longest or longest == unlimited:
            return Reservation(call_id, amount, duration)
        return Reservation(call_id, amount, duration, cap, max(0, duration - self._limits.warn_ms))

    def resume(self, call_id: str, number_class: NumberClass, price: Price, *, month: str, duration_ms: int) -> None:
        """Set aside again what an earlier agent has granted to a call in progress."""
        held = _Held(month, _CLASS_CAPS.get(number_class))
        if number_class not in EXEMPT_CLASSES:
            held = structs.replace(held, duration_ms=duration_ms, amount_micro=self._cost_micro(price, duration_ms))
        self._held.setdefault(call_id, held)

    def expect(self, call_id: str, number_class: NumberClass, *, month: str) -> None:
        """Let a call that was granted nothing here count when it is settled."""
        self._held.setdefault(call_id, _Held(month, _CLASS_CAPS.get(number_class)))

    def recall(self, recent: Iterable[tuple[int, int]]) -> None:
        """Take amounts with their times, for hour and day, in place of those that were noted."""
        self._recent = sorted(recent)

    def _cost_micro(self, price: Price, duration_ms: int) -> int:
        """What a time costs that may go beyond the last priced second."""
        return price.cost_micro(min(duration_ms, price.longest_ms(None)))

    def settle(self, call_id: str, amount_micro: int, *, now_ms: int) -> None:
        """End a call's reservation and count what it has cost: nothing if it was never answered. Again does nothing."""
        held = self._held.pop(call_id, None)
        if held is None or amount_micro == 0:
            return
        here = self._here.get(held.month, Spent(held.month))
        self._here[held.month] = here.plus(amount_micro, held.class_cap)
        if self._balance_micro is not None:
            self._balance_micro -= amount_micro
        self._note(now_ms, amount_micro)
        self._forget_old_months()

    def _spent(self, month: str) -> Spent:
        here, elsewhere = (spent.get(month, Spent(month)) for spent in (self._here, self._elsewhere))
        here = here.at_least(self._told.get(month, here))
        return Spent(
            month, here.total_micro + elsewhere.total_micro, here.abroad_micro + elsewhere.abroad_micro,
            here.premium_micro + elsewhere.premium_micro,
        )  # fmt: skip

    def _available(self, call_id: str, held: _Held, now_ms: int) -> tuple[int | None, Cap | None]:
        """Micro-units left for one call, its own reservation included, and the cap that leaves the least."""
        others = [other for name, other in self._held.items() if name != call_id]
        rooms = [(limit - used, cap) for limit, used, cap in self._caps(held, others, now_ms) if limit is not None]
        if not rooms:
            return None, None
        least, cap = min(rooms, key=itemgetter(0))
        return max(0, least), cap

    def _caps(self, held: _Held, others: list[_Held], now_ms: int) -> Iterator[tuple[int | None, int, Cap]]:
        """Yield limit, what is used or reserved under it, and the cap."""
        limits, spent = self._limits, self._spent(held.month)
        reserved = sum(other.amount_micro for other in others)
        same = [other for other in others if other.month == held.month]
        in_month = sum(other.amount_micro for other in same)
        in_class = sum(other.amount_micro for other in same if other.class_cap is held.class_cap)
        yield limits.call_micro, 0, Cap.CALL
        yield self._balance_micro, reserved, Cap.BALANCE
        yield limits.hour_micro, reserved + self._since(now_ms - HOUR_MS), Cap.HOUR
        yield limits.day_micro, reserved + self._since(now_ms - DAY_MS), Cap.DAY
        yield limits.month_micro, in_month + spent.total_micro, Cap.MONTH
        if held.class_cap is Cap.ABROAD:
            yield limits.abroad_micro, in_class + spent.abroad_micro, Cap.ABROAD
        if held.class_cap is Cap.PREMIUM:
            yield limits.premium_micro, in_class + spent.premium_micro, Cap.PREMIUM

    def _since(self, after_ms: int) -> int:
        return sum(amount for at, amount in self._recent if at > after_ms)

    def _note(self, now_ms: int, amount_micro: int) -> None:
        """Keep an amount for a day, those of one minute together, as of its last."""
        self._recent = [entry for entry in self._recent if entry[0] > now_ms - DAY_MS]
        if self._recent and self._recent[-1][0] // _BUCKET_MS == now_ms // _BUCKET_MS:
            amount_micro += self._recent.pop()[1]
        self._recent.append((now_ms, amount_micro))

    def _forget_old_months(self) -> None:
        for spent in (self._here, self._elsewhere, self._told):
            for month in sorted(spent)[:-2]:
                del spent[month]
