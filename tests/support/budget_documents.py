"""A TrainingBudget document, as a person would write it."""

from __future__ import annotations

from support.cases import Document

SMALL_BUDGET: Document = {
    "apiVersion": "lightcompute.dev/v1alpha1",
    "kind": "TrainingBudget",
    "metadata": {"name": "team"},
    "spec": {"limitUSD": "500.00", "period": "Monthly"},
}
