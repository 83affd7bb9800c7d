import pytest

from lightcompute.core.revise import revised
from lightcompute.testing.builders import a_running_attempt


def test_a_change_of_a_field_that_a_document_does_not_have_is_a_fault_of_ours() -> None:
    attempt = a_running_attempt()
    assert revised(attempt, deadline_seconds=5).deadline_seconds == 5
    with pytest.raises(AssertionError, match="Attempt has no"):
        revised(attempt, charge=())
