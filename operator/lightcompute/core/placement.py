"""Where an attempt goes: filter, then rank. Every place ends as chosen or passed over with a reason, deterministically."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import MAX_CANDIDATES, Attempt, Candidate, Place
from lightcompute.core.allowance import Reservation, reservation
from lightcompute.core.budget import (
    left_of,
    limit_of,
    paid_seconds,
    rate_of,
    useful_seconds,
)
from lightcompute.core.facts import Facts
from lightcompute.core.preference import rank_of
from lightcompute.core.search import retry_time, search_end, tried_in_vain, was_promised_in_vain
from lightcompute.core.snapshot import Offer
from lightcompute.core.text import clock, cut

PASSING = (
    Reason.NO_CAPACITY,
    Reason.QUEUED_BEHIND,
    Reason.STOCKED_OUT,
    Reason.CLUSTER_UNREACHABLE,
    Reason.NOT_ADMITTED,
    Reason.IMAGE_UNAVAILABLE,
    Reason.POD_REFUSED,
    Reason.START_REFUSED,
)
"""Reasons that pass by themselves, or by what others do: a place that has one of them is worth waiting for."""
_Check = Callable[[Facts, Offer], tuple[Reason, str] | None]
_WOULD_DO = frozenset({Reason.CHOSEN, Reason.NOT_PREFERRED})


@dataclass(frozen=True, kw_only=True)
class Round:
    """One look at all places."""

    candidates: tuple[Candidate, ...]
    """Best first; no more than a status has room for, the chosen one among them."""
    chosen: Offer | None
    takers: tuple[Place, ...] = ()
    """Every place that would take the run now, best first: the chosen one, and those that are not preferred."""
    reasons: Counter[Reason] = field(default_factory=Counter)
    """How many of all places have each reason."""

    @property
    def only_money_is_missing(self) -> bool:
        """Whether some place would do but for its price, and none but for its price could be waited for."""
        passing = any(self.reasons[reason] for reason in PASSING)
        return self.reasons[Reason.BUDGET_TOO_SMALL] > 0 and not passing and self.chosen is None


def look_for_place(facts: Facts) -> Round:
    """Every offer, judged; the first that passes is chosen."""
    checks = _checks(facts)
    chosen: Offer | None = None
    comes_first = ""
    judged: list[tuple[Offer, Reason, str]] = []
    for offer in sorted(facts.snapshot.offers, key=rank_of(facts)):
        reason, message = _judged(facts, offer, checks)
        if reason is Reason.CHOSEN and chosen is not None:
            reason, message = Reason.NOT_PREFERRED, comes_first
        elif reason is Reason.CHOSEN:
            chosen, comes_first = offer, f"{offer.place} comes first"
        judged.append((offer, reason, message))
    judged.extend(_removed(facts))
    # The chosen one comes before all that would do as well, so what is cut off beyond it would not.
    shown = judged[:MAX_CANDIDATES]
    if chosen is not None and all(reason is not Reason.CHOSEN for _, reason, _ in shown):
        shown[-1] = (chosen, Reason.CHOSEN, "")
    return Round(
        candidates=tuple(_candidate(*each) for each in shown),
        chosen=chosen,
        takers=tuple(offer.place for offer, reason, _ in judged if reason in _WOULD_DO),
        reasons=Counter(reason for _, reason, _ in judged),
    )


def _removed(facts: Facts) -> Iterator[tuple[Offer, Reason, str]]:
    """The place of the newest attempt, where others are offered and it is not: whoever asks why not there is told."""
    newest, offers = facts.newest, facts.snapshot.offers
    if newest is None or not offers or any(offer.place == newest.place for offer in offers):
        return
    told = f"it is not offered any more; attempt {newest.number} was there"
    gone = Offer(place=newest.place, rate_per_hour=rate_of(newest))
    yield gone, Reason.PLACE_REMOVED, told


def _judged(facts: Facts, offer: Offer, checks: tuple[_Check, ...]) -> tuple[Reason, str]:
    for check in checks:
        refusal = check(facts, offer)
        if refusal is not None:
            return refusal
    return Reason.CHOSEN, ""


def _candidate(offer: Offer, reason: Reason, message: str) -> Candidate:
    return Candidate(
        place=offer.place,
        rate_per_hour_usd=offer.rate_per_hour,
        reason=reason.value,
        message=cut(message, 256),
    )


def _checks(facts: Facts) -> tuple[_Check, ...]:
    """What can speak against a place for this run, in the order in which it is told: there may be a thousand places."""
    placement = facts.run.spec.placement
    has_means = limit_of(facts.run) is not None or placement.max_hourly_price_usd is not None
    searched = facts.status.placement.waiting_since is not None
    return (
        _not_allowed,
        *((_too_dear,) if has_means else ()),
        _not_free,
        *((_tried_in_vain,) if searched else ()),
        *((_beyond_budgets,) if facts.snapshot.allowances else ()),
    )


def _not_allowed(facts: Facts, offer: Offer) -> tuple[Reason, str] | None:
    wanted, place = facts.run.spec.placement, offer.place
    if offer.any_placement:
        return None
    lists = (
        (Reason.GPU_TYPE_NOT_ALLOWED, place.gpu_type, wanted.gpu_types),
        (Reason.REGION_NOT_ALLOWED, place.region, wanted.regions),
        (Reason.CLUSTER_NOT_ALLOWED, place.cluster, wanted.clusters),
    )
    for reason, name, names in lists:
        if names and name not in names:
            return reason, f"{name or 'none'} is not among {', '.join(names)}"
    return _away_from_its_claim(facts, offer)


def _away_from_its_claim(facts: Facts, offer: Offer) -> tuple[Reason, str] | None:
    """A claim stays where it is: elsewhere the run would begin anew, beside checkpoints that were paid for."""
    claim = facts.run.spec.storage.persistent_volume_claim
    if claim is None:
        return None
    started = [each for each in facts.status.attempts if each.start_time is not None]
    if not started:
        return None
    home = started[-1]
    if offer.place.cluster != home.place.cluster:
        return Reason.CLAIM_ELSEWHERE, f"its claim {claim.claim_name} is in {home.place.cluster}"
    if None in (home.whereabouts, offer.whereabouts) or home.whereabouts == offer.whereabouts:
        return None
    return Reason.CLAIM_ELSEWHERE, f"its claim {claim.claim_name} is {home.whereabouts}"


def _too_dear(facts: Facts, offer: Offer) -> tuple[Reason, str] | None:
    run, rate = facts.run, offer.rate_per_hour
    highest = run.spec.placement.max_hourly_price_usd
    if highest is not None and rate > highest:
        return Reason.PRICE_TOO_HIGH, f"{show_usd(rate)} an hour is above {show_usd(highest)}"
    seconds = paid_seconds(left_of(run, facts.status, facts.now), rate, facts.next_terms)
    needed = useful_seconds(facts.newest)
    if seconds is None or seconds >= needed:
        return None
    left = left_of(run, facts.status, facts.now) or 0
    reserve = show_usd(facts.next_terms.reserve(rate))
    told = f"{show_usd(max(left, 0))} left at {show_usd(rate)} an hour, less a reserve of {reserve}, pays for {seconds} s"
    return Reason.BUDGET_TOO_SMALL, f"{told}; {needed} s are needed"


def _not_free(facts: Facts, offer: Offer) -> tuple[Reason, str] | None:
    del facts
    return None if offer.unavailable is None else (offer.unavailable, offer.message)


def _tried_in_vain(facts: Facts, offer: Offer) -> tuple[Reason, str] | None:
    """It is said to be free, but took nothing in when that was tried; or others did until the search was over."""
    attempt = tried_in_vain(facts, offer.place)
    if attempt is not None and retry_time(facts, attempt) > facts.now:
        again = clock(retry_time(facts, attempt))
        return _why_in_vain(attempt), f"not tried again before {again}: {attempt.message}"
    if not was_promised_in_vain(facts):
        return None
    if attempt is not None:
        return _why_in_vain(attempt), attempt.message
    return Reason.NO_CAPACITY, f"the search ended at {clock(search_end(facts))}"


def _beyond_budgets(facts: Facts, offer: Offer) -> tuple[Reason, str] | None:
    """No TrainingBudget of the namespace has room for what an attempt there would reserve."""
    told = reservation_at(facts, offer).refusal
    return (Reason.WAITING_FOR_BUDGET, told) if told else None


def reservation_at(facts: Facts, offer: Offer) -> Reservation:
    """What an attempt at `offer` reserves: how long it may run, and how much is kept for it."""
    return reservation(
        facts.run,
        facts.status,
        facts.newest,
        facts.snapshot.allowances,
        rate=offer.rate_per_hour,
        now=facts.now,
        terms=facts.next_terms,
        queued=queue_at(facts, offer) is not None,
    )


def queue_at(facts: Facts, offer: Offer) -> str | None:
    """The queue that lets an attempt at `offer` begin; the only place that there is takes the run whatever it asks for, and has none."""
    return None if offer.any_placement else facts.run.spec.placement.queue_name


def _why_in_vain(attempt: Attempt) -> Reason:
    return known_reason(attempt.stop_reason, Reason.NO_CAPACITY)
