"""Tests here are about the test cluster itself: what others build on must do what it says."""

from support.testcluster.fixtures import (
    a_second_control_plane,
    fault_proxy,
    namespace,
    simulated,
)
from support.testcluster.fixtures import control_plane_apart as control_plane

__all__ = ["a_second_control_plane", "control_plane", "fault_proxy", "namespace", "simulated"]
