"""What a supervisor tells an attempt by its environment."""

import pytest

from runcontract.environment import (
    ATTEMPT,
    REQUESTS,
    STOP_AFTER_SECONDS,
    TERMINATION_LOG,
    AttemptEnvironment,
    read_attempt_environment,
)
from runcontract.faults import ConfigurationFault


def test_without_a_supervisor_it_is_the_first_attempt_and_has_all_the_time() -> None:
    assert read_attempt_environment({}) == AttemptEnvironment()
    empty = {ATTEMPT: "", TERMINATION_LOG: "", REQUESTS: ""}
    assert read_attempt_environment(empty) == AttemptEnvironment()


def test_what_is_told_is_read() -> None:
    told = {
        ATTEMPT: "3",
        STOP_AFTER_SECONDS: "0",
        TERMINATION_LOG: "/dev/termination-log",
        REQUESTS: "/requests",
    }
    assert read_attempt_environment(told) == AttemptEnvironment(
        attempt=3,
        stop_after_seconds=0,
        termination_log="/dev/termination-log",
        requests_folder="/requests",
    )


@pytest.mark.parametrize("name", [ATTEMPT, STOP_AFTER_SECONDS])
@pytest.mark.parametrize("text", ["-1", "1.5", "x", "٣", " 1", "1e3", "9" * 5000])
def test_what_is_no_whole_number_is_refused_by_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(ConfigurationFault, match=f"environment variable {name}: found"):
        read_attempt_environment({name: text})


def test_there_is_no_attempt_zero() -> None:
    with pytest.raises(ConfigurationFault, match="at least 1"):
        read_attempt_environment({ATTEMPT: "0"})
