from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from support.operators import OperatorProcess, eventually
from support.testcluster.cluster import Cluster
from support.testcluster.kubeconfig import Access, write_kubeconfig
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_it_becomes_ready_carries_a_run_out_and_says_so(start: Any, space: Any) -> None:
    operator = start().wait_ready()
    assert operator.ask("/healthz")[0] == 200
    uid = space.submit("short")["metadata"]["uid"]
    run = space.wait_for_phase("short", "Succeeded")

    def told() -> list[dict[str, Any]]:
        return [line for line in operator.lines if line.get("uid") == uid]

    # The answer to its own write reaches the operator after the change has reached us.
    last = f"{run['status']['reason']}: "
    eventually(lambda: any(line["message"].startswith(last) for line in told()))
    lines = told()
    assert [line["level"] for line in lines] == ["INFO"] * len(lines)
    assert lines[0]["namespace"] == space.name
    assert lines[0]["run"] == "short"
    assert lines[-1]["message"].startswith(last)
    assert lines[-1]["attempt"] == 1
    assert len({line["message"] for line in lines}) == len(lines)
    assert operator.metric(f'lightcompute_runs{{namespace="{space.name}",phase="Succeeded"}}') == 1
    assert operator.metric("lightcompute_look_faults_total") == 0
    assert operator.metric("lightcompute_watch_missed_total") == 0
    assert operator.metric("lightcompute_log_reads_total") > 0
    assert operator.metric("lightcompute_lease_held") == 1
    assert operator.metric("lightcompute_lease_transitions") == 0


def test_asked_to_end_it_gives_the_lease_back_and_ends_with_zero(start: Any, space: Any) -> None:
    operator = start().wait_ready()
    space.submit("short")
    space.wait_for_phase("short", "Starting", "Running", "Succeeded")
    operator.terminate()
    began = time.monotonic()
    assert operator.wait() == 0
    assert time.monotonic() - began < 15
    assert space.holder() == ""
    assert [line for line in operator.lines if line["level"] not in {"INFO", "WARNING"}] == []


def test_runs_that_were_there_before_are_looked_at(start: Any, space: Any) -> None:
    for number in range(5):
        space.submit(f"run-{number}")
    start().wait_ready()
    for number in range(5):
        space.wait_for_phase(f"run-{number}", "Succeeded")


def test_while_nothing_happens_nothing_is_written_and_nothing_is_told(
    start: Any, space: Any, fault_proxy: FaultProxy
) -> None:
    operator = start(kubeconfig=fault_proxy.kubeconfig).wait_ready()
    space.submit("short")
    space.wait_for_phase("short", "Succeeded")
    time.sleep(3)
    lines = len(operator.lines)
    fault_proxy.forget()
    time.sleep(8)
    assert {seen.path.rpartition("/")[2] for seen in fault_proxy.writes()} == {
        "lightcompute-operator"
    }
    assert len(operator.lines) == lines


@pytest.mark.timeout(240)
def test_an_api_server_that_is_away_for_a_while_is_waited_for(
    start: Any, space: Any, fault_proxy: FaultProxy
) -> None:
    operator = start(kubeconfig=fault_proxy.kubeconfig).wait_ready()
    fault_proxy.go_dark(refuse=True)
    eventually(lambda: operator.ask("/readyz")[0] == 503, 20)
    space.submit("meanwhile")
    time.sleep(10)
    assert operator.process.poll() is None
    fault_proxy.come_back()
    space.wait_for_phase("meanwhile", "Succeeded", seconds=120)
    assert operator.ask("/readyz")[0] == 200
    assert operator.metric("lightcompute_lease_transitions") == 0


def test_a_watch_that_kopf_gives_up_ends_the_process(
    start: Any, space: Any, fault_proxy: FaultProxy
) -> None:
    operator: OperatorProcess = start(kubeconfig=fault_proxy.kubeconfig).wait_ready()
    eventually(lambda: fault_proxy.inject(500, path="/trainingruns"))
    assert operator.wait() == 1
    assert operator.said("What must not end has ended: watch of runs.")
    assert space.holder() == ""


@pytest.mark.timeout(240)
def test_a_silent_watch_makes_it_unhealthy(start: Any, space: Any, fault_proxy: FaultProxy) -> None:
    operator = start(
        kubeconfig=fault_proxy.kubeconfig,
        patience={
            "kube.process.SILENT_SECONDS": 12.0,
            "kube.handlers.WATCH_SECONDS": 3,
            "kube.reflector.WATCH_SECONDS": 3,
        },
    ).wait_ready()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert operator.ask("/healthz")[0] == 200, operator.ask("/healthz")
        time.sleep(1)
    fault_proxy.go_dark()
    eventually(lambda: operator.ask("/healthz")[0] == 503, 30)
    eventually(lambda: "silent" in operator.checks("/healthz")["childrenWatch"], 30)
    told = "the watch of runs has been silent"
    eventually(lambda: told in operator.checks("/healthz")["runsWatch"], 30)
    fault_proxy.come_back()
    eventually(lambda: operator.ask("/healthz")[0] == 200, 60)


# ---- it cannot begin -----------------------------------------------------------------------------


def one_sentence(operator: OperatorProcess) -> str:
    """The only thing that it said."""
    (line,) = operator.lines
    assert line["level"] == "ERROR"
    assert "Traceback" not in operator.text
    return str(line["message"])


def test_without_the_resource_it_says_what_to_install(start: Any, fault_proxy: FaultProxy) -> None:
    fault_proxy.answer(404, path="/trainingruns", times=None)
    operator = start(kubeconfig=fault_proxy.kubeconfig)
    assert operator.wait() == 10
    assert "kubectl apply -f crds/" in one_sentence(operator)


def test_without_rights_it_says_which_are_missing(
    start: Any, served: Cluster, namespace: str, tmp_path: Path
) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    token = served.api.post(path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    access = Access(server=served.server, token=token, ca_file=served.ca_file)
    operator = start(kubeconfig=write_kubeconfig(tmp_path / "nobody", access, name="nobody"))
    assert operator.wait() == 10
    said = one_sentence(operator)
    assert 'cannot list resource "trainingruns"' in said
    assert "docs/operator.md" in said


def test_without_a_server_it_says_where_it_looked(start: Any, tmp_path: Path) -> None:
    access = Access(server="http://127.0.0.1:9", token="x")
    operator = start(kubeconfig=write_kubeconfig(tmp_path / "nowhere", access, name="nowhere"))
    assert operator.wait() == 20
    assert "http://127.0.0.1:9 cannot be used" in one_sentence(operator)


def test_without_the_namespace_of_its_lease_it_says_so(start: Any) -> None:
    operator = start("--lease-namespace", "there-is-none")
    assert operator.wait() == 10
    assert "--lease-namespace" in operator.lines[-1]["message"]
    assert "Traceback" not in operator.text
