"""Names of the environment variables by which a supervisor tells a trainer what differs from one attempt to the next.

What is the same for every attempt stands in the order. Ranks use torchrun's own names (RANK, LOCAL_RANK, WORLD_SIZE,
MASTER_ADDR, MASTER_PORT). This module holds names and one pure reading of them; it reads no environment itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runcontract.faults import ConfigurationFault, Fault, shortened

ATTEMPT = "LIGHTCOMPUTE_ATTEMPT"
"""Number of this attempt, from 1. Fences an older writer out of the checkpoints."""
STOP_AFTER_SECONDS = "LIGHTCOMPUTE_STOP_AFTER_SECONDS"
"""Seconds from the start of the process until it must have saved and left with BUDGET_REACHED."""
TERMINATION_LOG = "LIGHTCOMPUTE_TERMINATION_LOG"
"""File that takes the termination message: one JSON document of at most 4096 bytes (`results.TerminationMessage`)."""
RUN_UID = "LIGHTCOMPUTE_RUN_UID"
"""Unique id of the run, the same as `run.uid` in the order; tells whose a process is."""
ORDER = "LIGHTCOMPUTE_ORDER"
"""Path of the order, for a trainer that is not told by its arguments."""
OUTPUT_FOLDER = "LIGHTCOMPUTE_OUTPUT"
"""Folder that takes what the trainer writes (`runcontract.folder`), for a trainer that is not told by its arguments."""
REQUESTS = "LIGHTCOMPUTE_REQUESTS"
"""Folder whose files say what is wanted of an attempt as it runs (`runcontract.requests`); they may change at any time."""
IMAGE_DIGEST = "LIGHTCOMPUTE_IMAGE_DIGEST"
"""Digest of the container image that the trainer runs in, for the audit trail."""
S3_CREDENTIALS = "LIGHTCOMPUTE_S3_CREDENTIALS"
"""Folder with a file for each of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where there is one, AWS_SESSION_TOKEN, read again as it
changes. Without it the variables of those names count, and then the machine's own role."""
GLOBAL_SEED = "GLOBAL_SEED"
"""Seed for every generator when the order names none."""
TINYSHAKESPEARE = "LIGHTCOMPUTE_TINYSHAKESPEARE"
"""Path of the `tinyshakespeare` text, where it should not be downloaded."""
CACHE_FOLDER = "LIGHTCOMPUTE_CACHE"
"""Folder for downloaded data sets and prepared shards."""


@dataclass(frozen=True, kw_only=True)
class AttemptEnvironment:
    """What an attempt is told by its environment."""

    attempt: int = 1
    stop_after_seconds: int | None = None
    termination_log: str | None = None
    requests_folder: str | None = None


def read_attempt_environment(variables: Mapping[str, str]) -> AttemptEnvironment:
    """Reads the attempt's variables; raises `ConfigurationFault` for one that is not a whole number in range."""
    attempt = _whole_number(variables, ATTEMPT, least=1)
    return AttemptEnvironment(
        attempt=1 if attempt is None else attempt,
        stop_after_seconds=_whole_number(variables, STOP_AFTER_SECONDS, least=0),
        termination_log=variables.get(TERMINATION_LOG) or None,
        requests_folder=variables.get(REQUESTS) or None,
    )


def _whole_number(variables: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = variables.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= least):
        raise ConfigurationFault(
            Fault(
                where=f"environment variable {name}",
                found=shortened(text),
                expected=f"a whole number of at least {least}",
            )
        )
    return int(text)
