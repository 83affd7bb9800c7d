"""TrainingBudgets of a namespace, as a test makes and reads them, and whether runs ever had more than they allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lightcompute.api.money import format_usd, parse_usd
from support.run_audit import Kind
from support.run_spaces import Space

Document = dict[str, Any]


@dataclass(kw_only=True)
class _Limit:
    amount: int
    labels: Mapping[str, str]
    is_kept: bool = True
    """Whether it stood from before the first run until the end."""


@dataclass
class Purse:
    """What a namespace may spend."""

    space: Space
    _limits: dict[str, _Limit] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where they are."""
        return f"/apis/lightcompute.dev/v1alpha1/namespaces/{self.space.namespace}/trainingbudgets"

    def allow(self, name: str, limit: str, **spec: Any) -> None:
        """Makes a budget, and returns when the operator keeps it."""
        labels = spec.get("selector", {}).get("matchLabels", {})
        is_first = not self.space.watch.changes
        self._limits[name] = _Limit(amount=parse_usd(limit), labels=labels, is_kept=is_first)
        document = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingBudget",
            "metadata": {"name": name},
            "spec": {"limitUSD": limit, **spec},
        }
        self.space.api.post(self.path, document, fieldValidation="Strict")
        self.until(name, lambda status: bool(status.get("conditions")))

    def change(self, name: str, **spec: Any) -> None:
        """Changes the spec."""
        self._limits[name].is_kept = False
        self.space.api.patch(f"{self.path}/{name}", {"spec": spec})

    def status(self, name: str) -> Document:
        """What is told of it."""
        found: Document = self.space.api.get(f"{self.path}/{name}")
        return dict(found.get("status") or {})

    def until(
        self, name: str, holds: Callable[[Document], bool], *, seconds: float = 60
    ) -> Document:
        """Its status, once `holds` says so of it."""
        found: Document = self.space.api.eventually(
            f"{self.path}/{name}",
            lambda document: holds(document.get("status") or {}),
            seconds=seconds,
        )
        return dict(found["status"])

    def audit(self) -> tuple[str, ...]:
        """Where runs had spent and reserved more than a budget allows that stood all the time."""
        known: dict[str, tuple[Mapping[str, str], int]] = {}
        told = []
        for change in self.space.watch.changes:
            if change.kind is not Kind.RUN:
                continue
            cost = (change.document.get("status") or {}).get("cost") or {}
            taken = sum(parse_usd(cost.get(key, "0")) for key in ("spentUSD", "reservedUSD"))
            known[change.uid] = change.document["metadata"].get("labels") or {}, taken
            for name, limit in self._limits.items():
                total = sum(
                    amount
                    for labels, amount in known.values()
                    if all(labels.get(key) == value for key, value in limit.labels.items())
                )
                if limit.is_kept and total > limit.amount:
                    told.append(f"{name}: {format_usd(total)} at version {change.version}")
        return tuple(told)
