"""What TrainingBudgets would let the run of a file reserve, from what a person may read: the budgets and the runs of its namespace."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from lightcompute.accounts.account import Account
from lightcompute.api import TrainingBudget, TrainingRun
from lightcompute.core.budget import Terms
from lightcompute.core.snapshot import Allowance
from lightcompute.kube.client import Document


def allowances_for(
    run: TrainingRun,
    budgets: Iterable[Document],
    others: Iterable[TrainingRun],
    *,
    terms: Terms,
    now: datetime,
) -> tuple[Allowance, ...]:
    """Those of the budgets that `run` would draw from, with what the other runs of its namespace take."""
    accounts = [
        Account(TrainingBudget.model_validate_json(json.dumps(each)), terms) for each in budgets
    ]
    here = [each for each in others if each.metadata.namespace == run.metadata.namespace]
    for account in accounts:
        for each in here:
            account.put(each, each.status, now=now)
    return tuple(
        account.allowance(run.metadata.uid)
        for account in accounts
        if account.draws(run, run.status)
    )
