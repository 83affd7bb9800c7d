"""All mutants, in the order in which money goes through the code."""

from __future__ import annotations

from support.mutants.mutant import Mutant
from support.mutants.of_budgets import OF_BUDGETS
from support.mutants.of_decisions import OF_DECISIONS
from support.mutants.of_foresight import OF_FORESIGHT
from support.mutants.of_grace import OF_GRACE
from support.mutants.of_the_cap import OF_THE_CAP
from support.mutants.of_the_ledger import OF_THE_LEDGER
from support.mutants.of_worlds import OF_WORLDS

MUTANTS: tuple[Mutant, ...] = (
    *OF_THE_LEDGER,
    *OF_THE_CAP,
    *OF_GRACE,
    *OF_DECISIONS,
    *OF_FORESIGHT,
    *OF_WORLDS,
    *OF_BUDGETS,
)
