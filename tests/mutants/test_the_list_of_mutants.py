"""The list stays true: each fault can still be put where it says, and is code that runs."""

import re

import pytest

from support.mutants.every import MUTANTS
from support.mutants.mutant import Mutant
from support.source import CHECKOUT

OF_MONEY = {
    *(
        f"operator/lightcompute/core/{name}.py"
        for name in (
            "budget", "checks_begin", "checks_end", "checks_live", "checks_start", "conclude", "cost",
            "decide", "estimate", "facts", "ledger", "outlook", "placement", "revise", "spending", "verdict",
        )
    ),
    "operator/lightcompute/api/money.py",
    "operator/lightcompute/loop.py",
    "operator/lightcompute/kube/backend.py",
    "operator/lightcompute/kube/children.py",
    "operator/lightcompute/kube/performing.py",
    "operator/lightcompute/local/attempts.py",
    "operator/lightcompute/local/store.py",
    "operator/lightcompute/local/supervisor.py",
}  # fmt: skip

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@each
def test_what_a_mutant_changes_occurs_exactly_once(mutant: Mutant) -> None:
    assert mutant.count(CHECKOUT) == 1


@each
def test_a_mutant_is_code_that_differs(mutant: Mutant) -> None:
    changed = mutant.applied(CHECKOUT)
    assert changed != (CHECKOUT / mutant.file).read_text(encoding="utf-8")
    compile(changed, mutant.file, "exec")


@each
def test_a_mutant_names_tests_that_exist_and_says_what_it_breaks(mutant: Mutant) -> None:
    assert mutant.tests, "without any, all tests would be run"
    assert [test for test in mutant.tests if not (CHECKOUT / test).is_file()] == []
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", mutant.name)
    assert re.fullmatch(r".+\.", mutant.breaks)


def test_no_two_mutants_have_one_name_or_do_the_same() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def test_every_module_that_handles_money_has_a_mutant() -> None:
    assert sorted(OF_MONEY - {mutant.file for mutant in MUTANTS}) == []


def test_text_that_occurs_twice_or_never_is_changed_nowhere() -> None:
    mutant = Mutant(
        name="every-import",
        file="operator/lightcompute/core/ledger.py",
        old="import ",
        new="import  ",
        breaks="Nothing.",
        tests=("tests/core/test_ledger_and_budget.py",),
    )
    with pytest.raises(ValueError, match="not once"):
        mutant.applied(CHECKOUT)
