"""What README and docs/contract.md say of names and numbers, held to the code."""

from __future__ import annotations

import re
from typing import get_args

from lightcompute.api import TrainingRun
from runcontract import environment
from runcontract.document import parse_document, parse_model
from runcontract.exit_codes import ExitCode
from runcontract.progress import Report
from support.source import CHECKOUT

CONTRACT = (CHECKOUT / "docs" / "contract.md").read_text(encoding="utf-8")
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_the_contracts_page_names_every_variable_that_an_attempt_is_told() -> None:
    told = {
        environment.ATTEMPT,
        environment.STOP_AFTER_SECONDS,
        environment.TERMINATION_LOG,
        environment.RUN_UID,
        environment.ORDER,
        environment.OUTPUT_FOLDER,
        environment.REQUESTS,
        environment.S3_CREDENTIALS,
        environment.IMAGE_DIGEST,
    }
    assert set(re.findall(r"`(LIGHTCOMPUTE_\w+)`", CONTRACT)) == told


def test_the_contracts_page_has_a_row_for_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|", CONTRACT, flags=re.MULTILINE)
    assert [int(row) for row in rows] == sorted(ExitCode)


def test_the_contracts_page_has_a_row_for_every_report() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", CONTRACT, flags=re.MULTILINE)
    reports = get_args(get_args(Report)[0])
    assert sorted(rows) == sorted(report.model_fields["event"].default for report in reports)


def test_the_yaml_in_the_readme_is_a_valid_run() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    run = parse_model(TrainingRun, parse_document(block, where="README.md"))
    assert run.metadata.name == "mine"


def test_every_link_in_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (CHECKOUT / link).exists()] == []
