import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.source import CHECKOUT
from support.testcluster.api import Api, ApiFault, Document
from support.testcluster.cluster import Cluster
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fixtures import built, started
from support.testcluster.flags import NODE_LEASE_SECONDS
from support.testcluster.jobs import trainer_job
from support.testcluster.kubeconfig import Access, read_kubeconfig

pytestmark = pytest.mark.e2e


def lives(pid: int) -> bool:
    """Whether the process is there and no mere exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_of(pid: int, folder: Path) -> bool:
    """Whether the process lives and is one that was started with this folder."""
    return lives(pid) and str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_two_control_planes_stand_side_by_side_and_know_nothing_of_each_other(
    simulated: ControlPlane, a_second_control_plane: ControlPlane, namespace: str
) -> None:
    assert simulated.server != a_second_control_plane.server
    assert a_second_control_plane.api.find(f"/api/v1/namespaces/{namespace}") is None
    uids = {
        plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        for plane in (simulated, a_second_control_plane)
    }
    assert len(uids) == 2


def test_nothing_is_left_running_after_stop(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    built(request)
    plane = started(tmp_path, "us-iad1")
    pids = plane.pids
    assert all(lives(pid) for pid in pids)
    plane.component("etcd").pause()  # One that is paused is ended all the same.
    plane.stop()
    assert [pid for pid in pids if lives(pid)] == []


def test_nothing_is_left_running_after_the_test_run_was_killed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    built(request)
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(CHECKOUT / "tests")!r})
from support.testcluster.control_plane import ControlPlane
plane = ControlPlane.start(Path({str(tmp_path)!r}), "us-iad1")
print(*plane.pids, flush=True)
time.sleep(600)
"""
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pids: list[int] = []
    try:
        pids += [int(word) for word in run.stdout.readline().split()]
        assert len(pids) == 5
        run.kill()
        end = time.monotonic() + 10
        while left := [pid for pid in pids if lives(pid)]:
            assert time.monotonic() < end, left
            time.sleep(0.05)
    finally:
        run.kill()
        run.communicate(timeout=30)
        for pid in (pid for pid in pids if is_of(pid, tmp_path)):
            os.kill(pid, signal.SIGKILL)


def test_an_api_server_that_was_killed_comes_back_with_what_it_knew(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    built(request)
    with ControlPlane.start(tmp_path, "us-iad1", kwok=False, audit=True) as plane:
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": "kept"}})
        server = plane.component("kube-apiserver")
        before = server.pid
        server.kill()
        with pytest.raises(ConnectionError):
            plane.api.get("/api/v1/namespaces/kept")
        server.start()
        plane.wait_ready()
        assert server.pid != before
        assert plane.api.get("/api/v1/namespaces/kept")["metadata"]["name"] == "kept"
        server.pause()
        impatient = Api(plane.access, timeout_seconds=0.5)
        with pytest.raises(TimeoutError):
            impatient.get("/api/v1/namespaces/kept")
        impatient.close()
        server.resume()
        assert plane.api.get("/api/v1/namespaces/kept")
        assert plane.audit_log is not None
        assert '"requestURI":"/api/v1/namespaces/kept"' in plane.audit_log.read_text("utf-8")


def test_a_component_that_cannot_start_says_why(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    built(request)
    with pytest.raises(RuntimeError, match="--no-such-flag"):
        ControlPlane.start(tmp_path, apiserver_flags=("--no-such-flag",), kwok=False)


def test_a_user_may_do_what_rbac_says_and_no_more(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    token = control_plane.api.post(account, {"spec": {}})["status"]["token"]
    access = Access(server=control_plane.server, token=token, ca_file=control_plane.ca_file)
    stranger = Api(access)
    with pytest.raises(ApiFault, match="cannot list resource") as refused:
        stranger.get(f"/api/v1/namespaces/{namespace}/pods")
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    stranger.close()


def test_the_kubeconfig_is_what_kubectl_and_others_read(
    control_plane: Cluster, tmp_path: Path
) -> None:
    access = read_kubeconfig(control_plane.kubeconfig, folder=tmp_path)
    reader = Api(access)
    assert reader.get("/version")["major"] == "1"
    reader.close()


def test_nodes_are_of_the_pool_that_was_asked_for(simulated: ControlPlane) -> None:
    (name,) = simulated.add_nodes(
        1, "H100-80GB", gpus=4, labels={"rack": "7"},
        taints=({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},),
    )  # fmt: skip
    node = simulated.api.get(f"/api/v1/nodes/{name}")
    try:
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
        assert (
            node["metadata"]["labels"].items()
            >= {
                "lightcompute.dev/gpu-type": "H100-80GB",
                "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
                "rack": "7",
            }.items()
        )
        assert [taint["key"] for taint in node["spec"]["taints"]] == ["nvidia.com/gpu"]
    finally:
        simulated.api.delete(f"/api/v1/nodes/{name}")


def test_a_node_is_heard_from_by_its_lease(simulated: ControlPlane) -> None:
    (name,) = simulated.add_nodes(1, "L40S", gpus=1)
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    first = simulated.api.eventually(f"{leases}/{name}", bool)["spec"]
    assert first["leaseDurationSeconds"] == NODE_LEASE_SECONDS
    try:
        simulated.api.eventually(
            f"{leases}/{name}", lambda lease: lease["spec"]["renewTime"] != first["renewTime"]
        )
    finally:
        simulated.api.delete(f"/api/v1/nodes/{name}")


def test_a_lost_node_keeps_its_pods_until_it_is_back(
    simulated: ControlPlane, namespace: str
) -> None:
    pods, api = f"/api/v1/namespaces/{namespace}/pods", simulated.api
    (name,) = simulated.add_nodes(1, "lost", gpus=1)
    try:
        job = trainer_job("trainer", gpu_type="lost", never_ends=True)
        api.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
        listed = api.eventually(pods, lambda found: found["items"] and _runs(found["items"][0]))
        path = f"{pods}/{listed['items'][0]['metadata']['name']}"
        simulated.lose_node(name)
        api.delete(path, gracePeriodSeconds=1)
        with pytest.raises(ApiFault, match="connection refused"):
            api.text(f"{path}/log")
        time.sleep(2)
        assert _runs(api.get(path))
        simulated.find_node(name)
        api.gone(path)
    finally:
        api.delete(f"/api/v1/nodes/{name}")


def _runs(pod: Document) -> bool:
    return bool(pod["status"].get("phase") == "Running")
