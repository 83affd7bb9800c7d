from pathlib import Path

import pytest

from support.realnode import audit
from support.realnode.audit import Right
from support.realnode.release import NAME, NAMESPACE, Release

pytestmark = [pytest.mark.e2e, pytest.mark.realnode]

HERE = Path(__file__).parent
COMES_LAST = 1
"""The other tests are what the rights are used for."""

UNUSED = {
    Right(
        "lightcompute.dev", "trainingruns/finalizers", "update"
    ): "Asked only where the plugin OwnerReferencesPermissionEnforcement is on, which it is on OpenShift.",
}
"""Rights that nothing here makes use of, each with the reason why it is granted all the same."""
SELDOM_USED = {
    Right(
        "lightcompute.dev", resource, "get"
    ): "Asked only where somebody changed the object in the moment in which its status was written."
    for resource in ("trainingbudgets", "trainingclusters")
}
"""Rights of which that depends on the moment."""


@pytest.fixture(autouse=True)
def after_all_others(request: pytest.FixtureRequest) -> None:
    ran = {item.path.name for item in request.session.items if item.path.parent == HERE}
    missing = {path.name for path in HERE.glob("test_*.py")} - ran
    if missing:
        pytest.skip(
            f"rights are used by the other tests of this folder, and some do not run: {sorted(missing)}"
        )


def test_nothing_was_asked_that_is_not_granted(release: Release) -> None:
    log = release.rig.plane.audit_log
    assert log is not None
    assert {str(right) for right in audit.refused(log, release.account)} == set()


def test_nothing_is_granted_that_was_not_used(release: Release) -> None:
    log = release.rig.plane.audit_log
    assert log is not None
    # With all that a person can switch on, and that the others here did.
    release.upgrade(**{"trainingClusters.enabled": "true"})
    granted = audit.granted(release.rig.api, namespace=NAMESPACE, account=NAME)
    assert granted, "the account has no rights at all"
    used = audit.used(log, release.account)
    unused = granted - used - SELDOM_USED.keys()
    assert {str(right) for right in unused} == {str(right) for right in UNUSED}
    # What everybody may: to ask what there is.
    assert {str(right) for right in used - granted} == set()
