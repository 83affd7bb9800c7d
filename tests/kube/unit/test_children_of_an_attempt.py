import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from lightcompute.api import labels
from lightcompute.kube.manifests import Manifests
from lightcompute.kube.manifests.attempt import order_text, service_of_curves
from lightcompute.kube.pools import Home
from lightcompute.local.store import order_of
from lightcompute.testing.builders import RunBuilder, a_run
from runcontract.document import parse_document, parse_model
from runcontract.order import Order
from support.rendered_runs import START, UID, any_run, in_cluster, rendered, with_trainer

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
NAMES = ("a", "9", "baseline", "x" * 63, "9" * 63, "0" + "-" * 61 + "b", "a" + "-" * 61 + "b")


def children(manifests: Manifests) -> tuple[dict[str, Any], ...]:
    return (*manifests.config_maps, *manifests.services, manifests.job)


def service_of(run: RunBuilder, attempt: int = 1) -> dict[str, Any]:
    return service_of_curves(run.build(), attempt, cluster=START.place.cluster, home=Home())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attempt", [1, 1_000_000])
def test_every_name_is_one_that_a_server_takes_at_its_longest(name: str, attempt: int) -> None:
    run = in_cluster(a_run().with_spec(trainer={"numNodes": 1024, "numProcPerNode": 64}), name)
    manifests = rendered(run, start=replace(START, attempt=attempt))
    job = manifests.job["metadata"]["name"]
    # Each rank's pod has the Job's name and its rank as its host name.
    assert LABEL.fullmatch(f"{job}-1023")
    curves = service_of(run, attempt)
    for service in (*manifests.services, curves):
        assert SERVICE.fullmatch(service["metadata"]["name"])
    for child in children(manifests):
        assert LABEL.fullmatch(child["metadata"]["name"])
    names = [child["metadata"]["name"] for child in (*children(manifests), curves)]
    assert len(set(names)) == len(names)


@settings(max_examples=30)
@given(run=any_run())
def test_every_label_is_one_that_a_server_takes(run: RunBuilder) -> None:
    manifests = rendered(run)
    template = manifests.job["spec"]["template"]
    for metadata in (*(each["metadata"] for each in children(manifests)), template["metadata"]):
        for key, value in metadata["labels"].items():
            assert LABEL_KEY.fullmatch(key)
            assert LABEL_VALUE.fullmatch(value)
            assert isinstance(value, str)


@settings(max_examples=30)
@given(run=any_run())
def test_the_same_arguments_give_the_same_documents(run: RunBuilder) -> None:
    once, again = (json.dumps(children(rendered(run))) for _ in range(2))
    assert once == again


def test_children_of_runs_attempts_and_purposes_have_names_of_their_own() -> None:
    run = with_trainer(numNodes=2)
    another = run.with_metadata(uid="another")
    names = {
        child["metadata"]["name"]
        for each in (run, another)
        for attempt in (1, 2)
        for child in (
            *children(rendered(each, start=replace(START, attempt=attempt))),
            service_of(each, attempt),
        )
    }
    assert len(names) == 2 * 2 * 4


def test_every_child_says_whose_it_is_and_goes_with_its_run() -> None:
    for child in children(rendered(with_trainer(numNodes=2))):
        metadata = child["metadata"]
        assert metadata["labels"][labels.RUN_UID] == UID
        assert metadata["labels"][labels.ATTEMPT] == "1"
        assert metadata["labels"][labels.MANAGED_BY] == "lightcompute"
        [owner] = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("TrainingRun", "baseline", UID)
        assert owner["controller"]


def test_pods_are_found_by_the_selectors_of_their_services() -> None:
    run = with_trainer(numNodes=2)
    manifests = rendered(run)
    marks = manifests.job["spec"]["template"]["metadata"]["labels"]
    for service in (*manifests.services, service_of(run)):
        selector = dict(service["spec"]["selector"])
        selector.pop("batch.kubernetes.io/job-completion-index", None)
        assert selector.items() <= marks.items()
        assert selector[labels.RUN_UID] == UID


# The Job.


def test_a_job_is_one_try() -> None:
    spec = rendered(with_trainer(numNodes=3)).job["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["completionMode"] == "Indexed"
    assert (spec["completions"], spec["parallelism"]) == (3, 3)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    actions = {rule["action"] for rule in spec["podFailurePolicy"]["rules"]}
    assert actions == {"FailJob"}


@pytest.mark.parametrize(
    ("given", "written"), [(None, None), (3600, 3600), (1, 1), (0, 1), (-5, 1)]
)
def test_a_job_ends_by_itself_at_the_attempts_deadline(
    given: int | None, written: int | None
) -> None:
    job = rendered(with_trainer(), start=replace(START, deadline_seconds=given)).job
    assert job["spec"].get("activeDeadlineSeconds") == written


def test_pods_have_the_time_of_grace_that_the_cap_counts_with() -> None:
    job = rendered(with_trainer(), start=replace(START, grace_seconds=77)).job
    assert job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 77


# The order.


@settings(max_examples=30)
@given(run=any_run())
def test_the_order_is_the_one_that_a_laptop_gives_for_the_same_run(run: RunBuilder) -> None:
    built = run.build()
    local = order_of(built)
    [*config_maps] = rendered(run).config_maps
    assert [each["data"] for each in config_maps] == (
        [] if local is None else [{"order.yaml": local.text()}]
    )


def test_the_order_is_the_same_for_every_attempt_and_cannot_be_changed() -> None:
    texts = set()
    for attempt in (1, 2):
        [config_map] = rendered(with_trainer(), start=replace(START, attempt=attempt)).config_maps
        assert config_map["immutable"]
        texts.add(config_map["data"]["order.yaml"])
    assert len(texts) == 1


def test_the_order_reads_back() -> None:
    run = with_trainer().build()
    order = parse_model(Order, parse_document(order_text(run), where="order"))
    assert order.training == run.spec.training
    assert order.run.uid == UID


def test_a_foreign_program_gets_no_order() -> None:
    run = in_cluster(a_run().foreign())
    manifests = rendered(run)
    assert manifests.config_maps == ()
    text = json.dumps(manifests.job)
    assert "LIGHTCOMPUTE_ORDER" not in text
    assert "configMap" not in text


# Services.


def test_ranks_find_each_other_before_they_are_ready() -> None:
    manifests = rendered(with_trainer(numNodes=2))
    [service] = manifests.services
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"]
    pod = manifests.job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    [container] = pod["containers"]
    rank_0 = f"{manifests.job['metadata']['name']}-0.{service['metadata']['name']}"
    assert f"--master-addr={rank_0}" in container["command"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["MASTER_ADDR"] == rank_0
    assert variables["MASTER_PORT"] == str(service["spec"]["ports"][0]["port"])


def test_one_pod_needs_no_rendezvous() -> None:
    manifests = rendered(with_trainer(numProcPerNode=8))
    assert manifests.services == ()
    pod = manifests.job["spec"]["template"]["spec"]
    assert "subdomain" not in pod
    assert "MASTER_ADDR" not in json.dumps(pod)


def test_tensorboard_is_served_from_the_first_rank() -> None:
    run = with_trainer(numNodes=2)
    manifests, service = rendered(run), service_of(run)
    assert service["metadata"]["labels"][labels.PURPOSE] == "tensorboard"
    assert service["spec"]["selector"]["batch.kubernetes.io/job-completion-index"] == "0"
    [sidecar] = manifests.job["spec"]["template"]["spec"]["initContainers"]
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in sidecar["ports"]}


def test_without_tensorboard_nothing_of_it_is_made() -> None:
    manifests = rendered(with_trainer().with_spec(tensorboard={"enabled": False}))
    assert "initContainers" not in manifests.job["spec"]["template"]["spec"]
    assert "tensorboard" not in json.dumps(children(manifests))
