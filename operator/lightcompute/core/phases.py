"""Which phase may follow which: a table, from which the diagram in docs/architecture.md is drawn.

The phase is derived from the check that spoke; this table does not decide it. Tests hold the two together: every change seen
on the simulator is in the table, and every row of the table is seen there.
"""

from __future__ import annotations

from lightcompute.api.words import Phase

TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.PENDING: frozenset(
        {Phase.STARTING, Phase.SUSPENDED, Phase.BUDGET_EXHAUSTED, Phase.FAILED, Phase.STOPPED}
    ),
    Phase.STARTING: frozenset(
        {
            Phase.RUNNING,
            Phase.STOPPING,
            Phase.PENDING,
            Phase.VERIFYING,
            Phase.SUCCEEDED,
            Phase.FAILED,
            Phase.SUSPENDED,
            Phase.BUDGET_EXHAUSTED,
            Phase.STOPPED,
        }
    ),
    Phase.RUNNING: frozenset(
        {
            Phase.STOPPING,
            Phase.STARTING,
            Phase.PENDING,
            Phase.VERIFYING,
            Phase.SUCCEEDED,
            Phase.FAILED,
            Phase.SUSPENDED,
            Phase.BUDGET_EXHAUSTED,
            Phase.STOPPED,
        }
    ),
    Phase.STOPPING: frozenset(
        {
            Phase.SUSPENDED,
            Phase.BUDGET_EXHAUSTED,
            Phase.STOPPED,
            Phase.VERIFYING,
            Phase.SUCCEEDED,
            Phase.FAILED,
            Phase.PENDING,
            Phase.STARTING,
        }
    ),
    Phase.VERIFYING: frozenset(
        {
            Phase.SUCCEEDED,
            Phase.PENDING,
            Phase.STARTING,
            Phase.FAILED,
            Phase.SUSPENDED,
            Phase.BUDGET_EXHAUSTED,
            Phase.STOPPED,
        }
    ),
    Phase.SUSPENDED: frozenset(
        {Phase.PENDING, Phase.STARTING, Phase.BUDGET_EXHAUSTED, Phase.FAILED, Phase.STOPPED}
    ),
    Phase.BUDGET_EXHAUSTED: frozenset(
        {Phase.PENDING, Phase.STARTING, Phase.SUSPENDED, Phase.FAILED, Phase.STOPPED}
    ),
    Phase.SUCCEEDED: frozenset(),
    Phase.FAILED: frozenset(
        {Phase.PENDING, Phase.STARTING, Phase.SUSPENDED, Phase.BUDGET_EXHAUSTED, Phase.STOPPED}
    ),
    Phase.STOPPED: frozenset(),
}
"""From each phase those that may follow it directly. A failed run goes on only when its spec was changed."""


def may_follow(before: Phase, after: Phase) -> bool:
    """Whether `after` may be the next phase after `before`; every phase may stay."""
    return before == after or after in TRANSITIONS[before]


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.PENDING.value}"]
    for before in Phase:
        lines += [
            f"    {before.value} --> {after.value}"
            for after in Phase
            if after in TRANSITIONS[before]
        ]
        if not TRANSITIONS[before]:
            lines.append(f"    {before.value} --> [*]")
    return "\n".join(lines)
