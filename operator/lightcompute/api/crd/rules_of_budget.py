"""What must hold between fields of a TrainingBudget, in CEL. Each says again what a validator of its model says."""

from __future__ import annotations

from pydantic import BaseModel

from lightcompute.api.crd.rule import Rule, literal
from lightcompute.api.crd.rules_of_money import amount, positive_amount
from lightcompute.api.money import PATTERN
from lightcompute.api.names import LABEL_PATTERN
from lightcompute.api.training_budget import TrainingBudgetSpec

NAME = Rule(
    holds=f"self.metadata.name.matches({literal(LABEL_PATTERN)})",
    message="the name of a budget is a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends",
    field="metadata.name",
)

# What is no amount is told of by its own rule, and `double` of it would be a fault of this one.
_BOTH = (
    f"has(self.reservationUSD) && self.reservationUSD.matches({literal(PATTERN)})"
    f" && self.limitUSD.matches({literal(PATTERN)})"
)

RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    TrainingBudgetSpec: (
        amount("limitUSD"),
        positive_amount("reservationUSD", called="the reservation"),
        Rule(
            holds=f"!({_BOTH}) || double(self.reservationUSD) <= double(self.limitUSD)",
            message="a reservation is no more than limitUSD",
            field="reservationUSD",
        ),
    ),
}
