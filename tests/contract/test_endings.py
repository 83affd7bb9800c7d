"""How a run ends: exit codes, losses in their units, and a termination message that fits."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcontract.exit_codes import DESCRIPTIONS, ExitCode
from runcontract.faults import (
    CheckpointFault,
    ConfigurationFault,
    ContractFault,
    DataFault,
    Fault,
    StorageFault,
)
from runcontract.losses import loss_from_sum
from runcontract.results import MAX_TERMINATION_BYTES, TargetVerdict, TerminationMessage


def test_exit_codes_are_unique_described_and_clear_of_everybody_elses() -> None:
    assert len({code.value for code in ExitCode.__members__.values()}) == len(ExitCode.__members__)
    assert set(DESCRIPTIONS) == set(ExitCode)
    ours = set(ExitCode) - {ExitCode.DONE, ExitCode.INTERNAL_ERROR}
    assert all(2 < code < 64 or 78 < code < 126 for code in ours)


def test_no_code_is_both_resumable_and_the_users_fault() -> None:
    assert [code for code in ExitCode if code.is_resumable and code.is_users_fault] == []
    assert not ExitCode.DONE.is_users_fault


def test_each_kind_of_fault_has_a_code_of_its_own() -> None:
    kinds: list[type[ContractFault]] = [
        ConfigurationFault,
        DataFault,
        CheckpointFault,
        StorageFault,
    ]
    assert len({kind.exit_code for kind in kinds}) == len(kinds)


def test_a_fault_reads_as_one_sentence_and_several_as_lines() -> None:
    one = Fault(where="a.b", found="1", expected="2", action="Do it.")
    other = Fault(where="c", found="3", expected="4")
    assert str(DataFault(one, other)) == "a.b: found 1; expected 2. Do it.\nc: found 3; expected 4"


def test_a_loss_has_its_three_units_from_one_sum() -> None:
    loss = loss_from_sum(sum_nats=math.log(2) * 800, tokens=100, characters=400, bytes_=800)
    assert loss.in_unit("NatsPerToken") == pytest.approx(8 * math.log(2))
    assert loss.in_unit("NatsPerCharacter") == pytest.approx(2 * math.log(2))
    assert loss.in_unit("BitsPerByte") == pytest.approx(1.0)


@pytest.mark.parametrize("empty", ["tokens", "characters", "bytes_"])
def test_a_loss_over_nothing_is_refused(empty: str) -> None:
    counts = {"tokens": 1, "characters": 1, "bytes_": 1} | {empty: 0}
    with pytest.raises(ValueError, match="a loss needs text"):
        loss_from_sum(sum_nats=1.0, **counts)


any_text = st.text(alphabet=st.characters(codec="utf-8"))


@given(
    st.integers(0, 255),
    st.text(alphabet='\x00\x01"\\ü😀', max_size=64) | st.text(alphabet=st.characters(codec="utf-8"), max_size=64),
    st.sampled_from(["\x00", '"', "\\", "😀", "a", "\x1f\n"]).map(lambda sign: (sign * 1024)[:1024])
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=1024),
    st.text(alphabet="\x00😀", max_size=64),
)  # fmt: skip
def test_a_termination_message_fits_whatever_is_in_it(
    code: int, reason: str, message: str, metric: str
) -> None:
    loss = loss_from_sum(sum_nats=1e300 / 3, tokens=1, characters=1, bytes_=1)
    target = TargetVerdict(
        metric=metric, unit="NatsPerCharacter", at_most=1 / 3, reached=1 / 7, met=False
    )
    text = TerminationMessage(
        exit_code=code, reason=reason, message=message, step=2**53, final_validation=loss, best_validation=loss, target=target
    ).text()  # fmt: skip
    assert len(text.encode()) <= MAX_TERMINATION_BYTES
    read = TerminationMessage.model_validate(json.loads(text))
    assert (read.exit_code, read.reason) == (code, reason)
    assert message.startswith(read.message)
    if len(message.encode()) < 500:
        assert read.message == message
