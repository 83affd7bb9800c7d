"""A fault that a user can mend: where it is, what was found, what was expected, what to do.

These are values and one exception that carries them, not a logging facility. `ContractFault` is raised on both sides of the
contract and ends as one clear message and the exit code of its kind, never as a traceback.
"""

from __future__ import annotations

from dataclasses import dataclass

from runcontract.exit_codes import ExitCode


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    `where` is a field path (`spec.training.model.heads`) or a file path; `found` is the offending value as text
    (shortened); `expected` says what would be right; `action` what to do about it when that is not obvious.
    """

    where: str
    found: str
    expected: str
    action: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: found {self.found}; expected {self.expected}"
        return f"{text}. {self.action}" if self.action else text


class ContractFault(ValueError):
    """The user's fault, with every fault found and the exit code that tells its kind."""

    exit_code: ExitCode = ExitCode.CONFIGURATION_FAULT

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class ConfigurationFault(ContractFault):
    """The order cannot be carried out as written."""


class DataFault(ContractFault):
    """The text, the data set or the tokenizer cannot be used."""

    exit_code = ExitCode.DATA_FAULT


class CheckpointFault(ContractFault):
    """A checkpoint is broken, or belongs to another configuration."""

    exit_code = ExitCode.BROKEN_CHECKPOINT


class StorageFault(ContractFault):
    """The output folder cannot be written: no permission, no space, a read-only or failing device."""

    exit_code = ExitCode.STORAGE_FAULT


def shortened(value: object, limit: int = 80) -> str:
    """`value` as text of at most `limit` characters, for the `found` of a fault."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
