"""What runs and TrainingBudgets cost, for Prometheus: read off their statuses when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lightcompute.api.money import MICRO_PER_USD, MicroUSD
from lightcompute.api.training_budget import TrainingBudget
from lightcompute.api.training_run import TrainingRun

OF_RUNS = {
    "lightcompute_run_spent_usd": "What the TrainingRuns that exist have cost, by where they trained last.",
    "lightcompute_run_rate_usd_per_hour": "What TrainingRuns that are alive cost an hour.",
    "lightcompute_run_reserved_usd": "What TrainingRuns that are alive may still cost.",
    "lightcompute_run_forecast_usd": "What TrainingRuns that are alive will have cost at their ends, as far as that can be told.",
    "lightcompute_run_overshoot_usd": "What TrainingRuns have cost beyond their limits.",
    "lightcompute_run_overshoot_bound_usd": "What is held back of the limits of TrainingRuns that are alive, so that they hold.",
}
OF_BUDGETS = {
    "lightcompute_budget_limit_usd": "What a TrainingBudget allows in a period.",
    "lightcompute_budget_spent_usd": "What was spent of a TrainingBudget in this period.",
    "lightcompute_budget_reserved_usd": "What TrainingRuns that are alive may still take of a TrainingBudget in this period.",
    "lightcompute_budget_waiting_runs": "TrainingRuns that wait for money of a TrainingBudget.",
}


class MoneyGauges(Collector):
    """Sums of runs by namespace and cluster, and each budget."""

    def __init__(
        self,
        runs: Callable[[], Iterable[TrainingRun]],
        budgets: Callable[[], Iterable[TrainingBudget]],
    ) -> None:
        self._runs = runs
        self._budgets = budgets

    def collect(self) -> Iterator[Metric]:
        """The metrics, one after the other."""
        yield from self._of_runs()
        yield from self._of_budgets()

    def _of_runs(self) -> Iterator[Metric]:
        sums: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in OF_RUNS}
        for run in self._runs():
            if not run.status.attempts:
                continue
            newest = run.status.attempts[-1]
            where = run.metadata.namespace or "", newest.place.cluster
            for counter, amount in zip(sums.values(), _amounts(run), strict=True):
                counter[where] += amount
        yield self._short()
        for name, text in OF_RUNS.items():
            family = GaugeMetricFamily(name, text, labels=("namespace", "cluster"))
            for where, amount in sorted(sums[name].items()):
                family.add_metric(where, _dollars(amount))
            yield family

    def _short(self) -> Metric:
        short = Counter(
            (run.metadata.namespace or "")
            for run in self._runs()
            if run.status.cost.cap_reached_time is not None
        )
        family = GaugeMetricFamily(
            "lightcompute_runs_short_of_money",
            "TrainingRuns that their limits will stop before they are done, at their speed of now.",
            labels=("namespace",),
        )
        for namespace, count in sorted(short.items()):
            family.add_metric((namespace,), float(count))
        return family

    def _of_budgets(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(name, text, labels=("namespace", "budget"))
            for name, text in OF_BUDGETS.items()
        }
        for budget in self._budgets():
            status = budget.status
            numbers = (
                _dollars(budget.spec.limit_usd),
                _dollars(status.spent_usd),
                _dollars(status.reserved_usd),
                float(status.waiting_runs),
            )
            where = budget.metadata.namespace or "", budget.metadata.name
            for family, number in zip(families.values(), numbers, strict=True):
                family.add_metric(where, number)
        yield from families.values()


def _amounts(run: TrainingRun) -> tuple[MicroUSD, ...]:
    """In the order of OF_RUNS."""
    cost = run.status.cost
    alive = run.status.attempts[-1].is_live
    over = 0 if cost.limit_usd is None else max(0, cost.spent_usd - cost.limit_usd)
    return (
        cost.spent_usd,
        cost.rate_per_hour_usd if alive else 0,
        cost.reserved_usd if alive else 0,
        (cost.forecast_usd or 0) if alive else 0,
        over,
        cost.overshoot_bound_usd if alive else 0,
    )


def _dollars(amount: MicroUSD) -> float:
    return amount / MICRO_PER_USD
