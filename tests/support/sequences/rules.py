"""What must hold at every moment of a sequence, worked out beside the product from what the simulator knows.

**True cost.** At every moment, true cost <= max(limit + unseen, floor), and so is the promise: what it would come to if everybody but the
place died now and no trainer heeded anything.

- `unseen` is what a price that rose has cost beyond the price before until a look reached the attempt's place, summed over the run. Nobody
  can take it back.
- `floor` is 0 until a cap is lowered or a price rises. From such an edit to the next look that reaches the attempt's place, it is what held
  before the edit: nothing ends an attempt earlier than was promised. At that look it becomes the true cost of that moment and the reserve,
  rate x (grace + clock skew + 1 s): the attempt is given a deadline that the new cap pays for, or is asked to leave at once and has its grace.

The promise is not judged between a price that rises and that look: prices of that time were never promised.

**What is told.** spent never falls, and spent + reserved <= limit in every status, with one exception: an attempt that was live when a cap
was lowered or a price rose. Until a later look finds nothing to renew there, and while it is on its way out, the record holds what its place
may keep; after that, and after its end, spent + reserved <= max(limit, what was spent at the first look and the reserve).

**At the end**, when nothing lives: spent + unseen >= true cost. And no two attempts ever live at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from lightcompute.api.money import MicroUSD, charge, show_usd
from lightcompute.api.status import Attempt, AttemptState
from lightcompute.core.budget import GRANULARITY_SECONDS, limit_of, rate_of
from lightcompute.testing.world import World
from support.sequences.promise import cost_of, promised, true_rate


@dataclass(frozen=True, kw_only=True)
class Overshoot:
    """By how much true cost passed the cap, or where it was lowered below what was spent, that; and the stated bound on it."""

    amount: Fraction = Fraction()
    """Micro-dollars."""
    bound: MicroUSD = 0
    seed: int = 0
    """Of the sequence."""

    @property
    def share(self) -> Fraction:
        """Of the bound."""
        return self.amount / self.bound if self.bound else Fraction()

    def __str__(self) -> str:
        share = f", {float(self.share):.1%} of its bound (seed {self.seed})" if self.bound else ""
        return f"{float(self.amount) / 1e6:.6f} USD{share}"


@dataclass(kw_only=True)
class Rules:
    """Follows one world."""

    world: World
    limit: MicroUSD | None = None
    unseen: Fraction = Fraction()
    floor: Fraction | None = Fraction()
    """None where no cap was promised."""
    base: Fraction = Fraction()
    """The floor without the reserve in it."""
    bound: MicroUSD = 0
    """The reserve in the floor."""
    floor_unseen: Fraction = Fraction()
    known_rates: dict[int, MicroUSD] = field(default_factory=dict)
    """By attempt, the price that the last look that reached its place saw."""
    looks: int | None = None
    """That reached the place since the cap was lowered or a price rose; None when the last of them had nothing to renew."""
    price_rose: bool = False
    exempt: int | None = None
    told_floor: MicroUSD = 0
    checked_until: datetime = field(init=False)
    spent: MicroUSD = 0
    worst: Overshoot = field(default_factory=Overshoot)
    """The largest after a cap was lowered or a price rose."""
    closest: Overshoot = field(default_factory=Overshoot)
    """Of these the one that took the largest share of its bound."""
    unprovoked: Fraction = Fraction()
    """The largest before that."""
    moments: int = 0

    def __post_init__(self) -> None:
        self.limit = limit_of(self.world.run)
        self.checked_until = self.world.now

    # ---- what was done -----------------------------------------------------------------------------------

    def limit_changed(self, limit: MicroUSD | None) -> None:
        """The cap was edited."""
        before, self.limit = self.limit, limit
        if limit is not None and (before is None or limit < before):
            held = None if before is None else self._most(before)
            self._unsettled(held)

    def price_changed(self, *, rose: bool) -> None:
        """A price was."""
        if rose:
            self.price_rose = True
            self._unsettled(self._most(self.limit))

    def looked(self, *, reached: bool, renewed: bool) -> None:
        """A look came to its end; `reached` when nothing went wrong in it and the place of what lives could be reached."""
        self.moment()
        live = _live(self.world)
        if reached and live is not None:
            self.known_rates[live.number] = true_rate(self.world, live.place)
        if not reached or self.looks is None:
            return
        if self.looks > 0:
            self.looks = self.looks + 1 if renewed else None
            return
        self.looks = 1
        rate = 0 if live is None else max(rate_of(live), true_rate(self.world, live.place))
        reserve = charge(rate, self._overrun(live))
        self.price_rose = False
        self.base, self.bound = self.world.true_cost(), reserve
        self.floor, self.floor_unseen = self.base + reserve, self.unseen
        self.told_floor = self.world.run.status.cost.spent_usd + reserve

    # ---- what must hold ------------------------------------------------------------------------------------

    def moment(self) -> None:
        """Raises AssertionError where something does not hold now."""
        self.moments += 1
        self._count_unseen()
        assert len(self.world.live_attempts()) <= 1, "two attempts live at once"
        self._true_cost_holds()
        self._what_is_told_holds()

    def end(self) -> None:
        """The same when nothing happens any more."""
        self.moment()
        if self.world.gone or self.world.live_attempts() or _live(self.world) is not None:
            return
        spent, true = self.world.run.status.cost.spent_usd, self.world.true_cost()
        assert spent + self.unseen >= true, f"it cost {_usd(true)} and {_usd(spent)} are charged"

    def _true_cost_holds(self) -> None:
        most = self._most(self.limit)
        if most is None or self.limit is None:
            return
        true = self.world.true_cost()
        told = f"{_usd(most)} are allowed at a limit of {_usd(self.limit)}"
        assert true <= most, f"it cost {_usd(true)}, {told}"
        self._note(true)
        if not self.price_rose:
            worst = promised(self.world)
            assert worst is not None, "nothing ends it"
            assert worst <= most, f"if everybody died now it would cost {_usd(worst)}, {told}"

    def _note(self, true: Fraction) -> None:
        assert self.limit is not None
        if self.floor == 0:
            self.unprovoked = max(self.unprovoked, true - self.limit)
        elif self.looks != 0 and self.bound:
            over = true - max(self.limit + self.unseen, self._grown(self.base))
            seen = Overshoot(amount=over, bound=self.bound)
            self.worst = max(self.worst, seen, key=lambda each: each.amount)
            self.closest = max(self.closest, seen, key=lambda each: each.share)

    def _what_is_told_holds(self) -> None:
        status = self.world.run.status
        cost, live = status.cost, _live(self.world)
        assert cost.spent_usd >= self.spent, "the ledger fell"
        self.spent = cost.spent_usd
        if self.exempt is not None and (live is None or live.number != self.exempt):
            self.exempt, self.told_floor = None, max(self.told_floor, cost.spent_usd)
        if cost.limit_usd is None or self._is_exempt(live):
            return
        told = cost.spent_usd + cost.reserved_usd
        most = max(cost.limit_usd, self.told_floor)
        assert told <= most, f"{_usd(told)} are told, {_usd(most)} are allowed"

    def _is_exempt(self, live: Attempt | None) -> bool:
        if live is None or live.number != self.exempt:
            return False
        return self.looks is not None or live.state is AttemptState.STOPPING

    # ---- how much ------------------------------------------------------------------------------------------

    def _most(self, limit: MicroUSD | None) -> Fraction | None:
        if limit is None or self.floor is None:
            return None
        return max(limit + self.unseen, self._grown(self.floor))

    def _grown(self, floor: Fraction) -> Fraction:
        """A price that rises unseen makes dearer what was promised before, too."""
        return floor + self.unseen - self.floor_unseen

    def _unsettled(self, held: Fraction | None) -> None:
        """Until the next look that reaches it, what lives may cost what was held before."""
        self.looks = 0
        self.floor, self.floor_unseen = held, self.unseen
        live = _live(self.world)
        self.exempt = None if live is None else live.number
        self.told_floor = max(self.told_floor, self.world.run.status.cost.spent_usd)

    def _count_unseen(self) -> None:
        """Prices change between two moments only, so between them all rates are the same."""
        since, self.checked_until = self.checked_until, self.world.now
        recorded = {each.number: each for each in self.world.run.status.attempts}
        for number, attempt in self.world.attempts.items():
            begin, end = max(since, attempt.start_time), min(self.world.now, attempt.end().time)
            if end > begin and number in recorded:
                told = rate_of(recorded[number])
                known = min(told, self.known_rates.get(number, told))
                beyond = true_rate(self.world, attempt.order.place) - known
                self.unseen += cost_of(max(beyond, 0), end - begin)

    def _overrun(self, live: Attempt | None) -> timedelta:
        """Of what lives: by the grace that its place truly gives it; before it is there, by what is on record."""
        world, grace = self.world, self.world.grace_seconds
        if live is not None:
            there = world.attempts.get(live.number)
            grace = (live.grace_seconds or grace) if there is None else there.order.grace_seconds
        return timedelta(seconds=grace + world.clock_skew_seconds + GRANULARITY_SECONDS)


def _live(world: World) -> Attempt | None:
    attempts = world.run.status.attempts
    return attempts[-1] if attempts and attempts[-1].is_live else None


def _usd(amount: Fraction | MicroUSD) -> str:
    return f"{show_usd(-(-amount // 1))} ({float(amount) / 1e6:.9f})"
