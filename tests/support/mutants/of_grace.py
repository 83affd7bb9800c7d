"""Faults in the time of grace: what saves call for, and that pod, stop and money go by one number."""

from __future__ import annotations

from support.mutants.mutant import Mutant

_CORE = "operator/lightcompute/core"
_ALLOWANCE = f"{_CORE}/allowance.py"
_BEGIN = f"{_CORE}/checks_begin.py"
_BUDGET = f"{_CORE}/budget.py"
_CLAIM = f"{_CORE}/claim.py"
_FACTS = f"{_CORE}/facts.py"
_GRACE = f"{_CORE}/grace.py"
_PLACEMENT = f"{_CORE}/placement.py"
_START = f"{_CORE}/checks_start.py"
_VERDICT = f"{_CORE}/verdict.py"
_TESTS = ("tests/core/test_grace_follows_measured_saves.py",)

OF_GRACE: tuple[Mutant, ...] = (
    Mutant(
        name="every-attempt-has-the-grace-of-the-setting",
        file=_BUDGET,
        old="        return replace(self, grace_seconds=attempt.grace_seconds)\n",
        new="        return self\n",
        breaks="A pod that was made with a longer grace passes the cap by it.",
        tests=_TESTS,
    ),
    Mutant(
        name="the-grace-of-a-live-attempt-grows-with-its-saves",
        file=_FACTS,
        old="        return terms_of(self.snapshot)\n",
        new="        return next_terms(self.status, terms_of(self.snapshot))\n",
        breaks="An attempt of an older version is held to a grace that its pods do not have.",
        tests=_TESTS,
    ),
    Mutant(
        name="measured-saves-change-nothing",
        file=_GRACE,
        old="max(setting_seconds, min(needed, LONGEST_GRACE_SECONDS))",
        new="setting_seconds",
        breaks="A save that takes longer than the setting is killed at every stop.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-measured-grace-has-no-bound",
        file=_GRACE,
        old="max(setting_seconds, min(needed, LONGEST_GRACE_SECONDS))",
        new="max(setting_seconds, needed)",
        breaks="A trainer that says that a save took a year makes its run unstartable.",
        tests=_TESTS,
    ),
    Mutant(
        name="measured-saves-shorten-the-grace",
        file=_GRACE,
        old="max(setting_seconds, min(needed, LONGEST_GRACE_SECONDS))",
        new="min(needed, LONGEST_GRACE_SECONDS)",
        breaks="The operator's setting is no floor: a first slow save is killed.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-new-attempt-reserves-for-the-setting",
        file=_PLACEMENT,
        old="        terms=facts.next_terms,\n",
        new="        terms=facts.terms,\n",
        breaks="An attempt has a longer grace than its deadline leaves money for.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-pod-has-the-grace-of-the-setting",
        file=_START,
        old="grace_seconds=facts.terms.of(attempt).grace_seconds",
        new="grace_seconds=facts.terms.grace_seconds",
        breaks="A save that fits into the grace on record is killed.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-pod-that-is-asked-for-again-has-the-grace-of-the-setting",
        file=_BEGIN,
        old="grace_seconds=facts.terms.of(live).grace_seconds",
        new="grace_seconds=facts.terms.grace_seconds",
        breaks="A pod of an attempt whose operator died at its start has another grace than is on record.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-stop-gives-the-grace-of-the-setting",
        file=_VERDICT,
        old="    terms = facts.terms.of(attempt)\n",
        new="    terms = facts.terms\n",
        breaks="An attempt is killed in the middle of its last save.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-claim-has-the-grace-of-the-setting",
        file=_CLAIM,
        old="open_charge(live), terms.of(live)",
        new="open_charge(live), terms",
        breaks="What an attempt may use for its last save is promised to another.",
        tests=_TESTS,
    ),
    Mutant(
        name="a-live-attempt-may-use-what-its-grace-needs",
        file=_ALLOWANCE,
        old="open_charge(live), terms.of(live)",
        new="open_charge(live), terms",
        breaks="An attempt that takes all of its grace to die passes the TrainingBudget.",
        tests=_TESTS,
    ),
)
