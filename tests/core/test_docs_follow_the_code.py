"""The pages that explain words, phases and checks say exactly what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from lightcompute.api.reasons import Reason
from lightcompute.api.words import ConditionType, Phase
from lightcompute.core.decide import CHECKS
from lightcompute.core.phases import TRANSITIONS, diagram


def page(checkout: Path, name: str) -> str:
    return (checkout / "docs" / name).read_text(encoding="utf-8")


def test_every_reason_has_one_anchor_with_its_sentence(checkout: Path) -> None:
    text = page(checkout, "troubleshooting.md")
    told = dict(re.findall(r"^### (\w+)\n\n(.+)$", text, re.MULTILINE))
    assert told == {reason.value: reason.sentence for reason in Reason}
    assert len(re.findall(r"^### ", text, re.MULTILINE)) == len(told)


def test_the_glossary_tells_every_phase_and_condition(checkout: Path) -> None:
    text = page(checkout, "glossary.md")
    for words in (Phase, ConditionType):
        for word in words:
            assert f"| {word.value} | {word.sentence} |" in text


def test_the_state_diagram_is_drawn_from_the_table(checkout: Path) -> None:
    text = page(checkout, "architecture.md")
    (drawn,) = re.findall(r"```mermaid\n(.*?)\n```", text, re.DOTALL)
    assert drawn == diagram()


def test_the_checks_are_told_in_their_order(checkout: Path) -> None:
    text = page(checkout, "architecture.md")
    told = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    assert told == [
        (check.__name__, (check.__doc__ or "").strip().splitlines()[0]) for check in CHECKS
    ]


def test_every_phase_stands_in_the_table_and_every_reason_is_used(checkout: Path) -> None:
    assert set(TRANSITIONS) == set(Phase)
    folder = checkout / "operator" / "lightcompute"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    unused = [reason.name for reason in Reason if f"Reason.{reason.name}" not in code]
    assert unused == []
