"""Faults in TrainingBudgets: what runs take of them, what is left for another, and what stays counted."""

from __future__ import annotations

from support.mutants.mutant import Mutant

_CLAIM = "operator/lightcompute/core/claim.py"
_ALLOWANCE = "operator/lightcompute/core/allowance.py"
_ACCOUNT = "operator/lightcompute/accounts/account.py"
_REPORT = "operator/lightcompute/accounts/report.py"
_BOOKS = "operator/lightcompute/local/books.py"
_OF_CLAIMS = ("tests/core/test_what_training_budgets_let_runs_reserve.py",)
_OF_ACCOUNTS = ("tests/kube/unit/test_what_is_told_of_a_training_budget.py",)
_OF_BOOKS = ("tests/local/test_budgets_beside_the_runs.py",)

OF_BUDGETS: tuple[Mutant, ...] = (
    Mutant(
        name="a-reservation-ends-with-its-deadline",
        file=_CLAIM,
        old="    held = timedelta(seconds=live.deadline_seconds or 0) + terms.overrun\n",
        new="    held = timedelta(seconds=live.deadline_seconds or 0)\n",
        breaks="The grace of an attempt is promised to another.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="what-begins-late-is-kept-in-one-period",
        file=_CLAIM,
        old="    if start == latest:\n",
        new="    if start <= latest:\n",
        breaks="An attempt that begins after midnight spends what the next day did not keep for it.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="without-an-end-it-costs-nothing",
        file=_CLAIM,
        old="endless = live.deadline_seconds is None and rate_of(live) > 0",
        new="endless = False",
        breaks="A run without any limit spends what was promised to others.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="what-does-not-fit-starts",
        file=_ALLOWANCE,
        old="        if needs[start] > left:\n",
        new="        if needs[start] > allowance.limit:\n",
        breaks="Each run may spend all of the limit.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="only-this-period-is-asked",
        file=_ALLOWANCE,
        old="    for start in sorted(needs):\n",
        new="    for start in sorted(needs)[:1]:\n",
        breaks="An attempt over the edge of a period spends what the next one has promised.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="what-it-spent-before-is-not-counted",
        file=_ALLOWANCE,
        old="        left = allowance.limit - allowance.taken.get(start, 0) - spent.get(start, 0)\n",
        new="        left = allowance.limit - allowance.taken.get(start, 0)\n",
        breaks="With each attempt a run has the whole limit again.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="a-lowered-limit-shortens-nobody",
        file="operator/lightcompute/core/facts.py",
        old="    new = live_seconds(status, attempt, snapshot.allowances, own=own, now=snapshot.now, terms=terms)\n",
        new="    new = own\n",
        breaks="A limit that was lowered is passed by whoever is alive.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="a-faulty-budget-lets-everything-start",
        file=_ALLOWANCE,
        old="    if fault is not None:\n",
        new="    if fault is not None and not fault.fault:\n",
        breaks="A budget with a misspelt time zone holds nobody.",
        tests=_OF_CLAIMS,
    ),
    Mutant(
        name="what-others-were-promised-is-free",
        file=_ACCOUNT,
        old="        for amounts in (claim.spent, claim.promised):\n",
        new="        for amounts in (claim.spent,):\n",
        breaks="Two runs get the same dollar.",
        tests=_OF_ACCOUNTS,
    ),
    Mutant(
        name="a-changed-claim-is-added-to-the-old-one",
        file=_ACCOUNT,
        old="        self.remove(uid)\n        if claim is not None:\n            self.claims",
        new="        if claim is not None:\n            self.claims",
        breaks="Money that was given back stays promised.",
        tests=_OF_ACCOUNTS,
    ),
    Mutant(
        name="deleted-runs-cost-nothing",
        file=_ACCOUNT,
        old="        for departed in (*status.departed, *self.lost.values()):\n",
        new="        for departed in ():\n",
        breaks="Who deletes a run has its money again.",
        tests=_OF_ACCOUNTS,
    ),
    Mutant(
        name="a-run-on-its-way-is-counted-twice",
        file=_ACCOUNT,
        old="            if departed.run_uid in self.claims or departed.run_uid == run_uid:\n",
        new="            if departed.run_uid == run_uid:\n",
        breaks="Money is missing that nobody spent.",
        tests=_OF_ACCOUNTS,
    ),
    Mutant(
        name="a-lost-run-is-summed-up-at-once",
        file=_REPORT,
        old="    left = (each for each in known.departed if is_gone(each.run_uid))\n",
        new="    left = (each for each in (*known.departed, *account.lost.values()) if is_gone(each.run_uid))\n",
        breaks="After a write of which no answer came the same run is counted again.",
        tests=_OF_ACCOUNTS,
    ),
    Mutant(
        name="those-who-came-first-give-way",
        file=_ACCOUNT,
        old="each.since is not None and (each.since, uid) > mine:",
        new="each.since is not None and (each.since, uid) < mine:",
        breaks="A run that was promised its money is stopped for one that came later.",
        tests=_OF_ACCOUNTS,
    ),
    Mutant(
        name="what-was-left-a-moment-ago-is-reserved",
        file="operator/lightcompute/local/backend.py",
        old="                if self.has_other_allowances(run):\n",
        new="                if False:\n",
        breaks="Two processes on a laptop get the same dollar.",
        tests=_OF_BOOKS,
    ),
    Mutant(
        name="a-deletion-that-was-cut-short-counts-twice",
        file=_BOOKS,
        old="            is_gone=lambda uid: uid not in runs and not unread,\n",
        new="            is_gone=lambda uid: True,\n",
        breaks="Money is missing that nobody spent.",
        tests=_OF_BOOKS,
    ),
    Mutant(
        name="what-is-over-is-told-with-the-new-limit",
        file=_BOOKS,
        old="            self._remember(name, now)  # What is over was over under the old terms.\n",
        new="",
        breaks="The history says of a period that it had a limit which it never had.",
        tests=_OF_BOOKS,
    ),
    Mutant(
        name="what-cannot-be-read-costs-nothing",
        file=_BOOKS,
        old="                yield replace(found, fault=found.fault or unread)\n",
        new="                yield found\n",
        breaks="What a run with a damaged status spent is spent again.",
        tests=_OF_BOOKS,
    ),
    Mutant(
        name="a-new-budget-remembers-another",
        file="operator/lightcompute/local/budget_files.py",
        old="        self._status_path(name).unlink(missing_ok=True)  # of one whose deletion was cut short\n",
        new="",
        breaks="What a deleted budget counted is counted against a new one of its name.",
        tests=_OF_BOOKS,
    ),
)
