"""Three mutants, tried for real: one that is noticed, one that is not, and one of which nothing can be said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.mutants.mutant import Mutant
from support.mutants.run import tried
from support.mutants.tree import Broken
from support.source import CHECKOUT

MUTANT = Mutant(
    name="a-charge-rounds-down",
    file="operator/lightcompute/api/money.py",
    old="max(0, -(-rate_per_hour * (held // _MICROSECOND) // _HOUR_MICROSECONDS))",
    new="max(0, rate_per_hour * (held // _MICROSECOND) // _HOUR_MICROSECONDS)",
    breaks="Each segment may be charged too little.",
    tests=("tests/api/test_money.py",),
)
HARMLESS = replace(MUTANT, name="of-another-form", new=f"{MUTANT.old} + 0")
NOT_IMPORTED = replace(MUTANT, name="no-code", new="max(0, no_such_name))", old=MUTANT.old + "\n")


@pytest.mark.slow
def test_each_is_told_by_what_became_of_it_and_the_checkout_stays_as_it_was() -> None:
    path = CHECKOUT / MUTANT.file
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    killed, survived, broken = tried([MUTANT, HARMLESS, NOT_IMPORTED], jobs=1)
    assert killed.word == "killed"
    assert str(killed.killer).startswith("tests/api/test_money.py::test_a_")
    assert (survived.word, survived.killer) == ("SURVIVED", None)
    assert survived.mutant.breaks in str(survived)
    assert broken.word == "BROKEN"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.slow
def test_tests_that_fail_anyway_notice_nothing() -> None:
    failing = replace(MUTANT, tests=("tests/mutants/no_such_test.py",))
    with pytest.raises(Broken, match="pytest ended with 4"):
        list(tried([failing], jobs=1))
