import pytest

from lightcompute.kube.settings import OperatorSettings, PoolSettings
from lightcompute.kube.storage_faults import faults_of_storage
from lightcompute.testing.builders import a_run
from runcontract import environment
from runcontract.document import parse_document, parse_model
from runcontract.order import Bucket, Order
from support.rendered_runs import (
    SETTINGS,
    START,
    UID,
    Document,
    in_cluster,
    manifests_in_own_cluster,
    pod_of,
    rendered,
    sidecar_of,
    trainer_of,
    with_trainer,
)

GPU = "nvidia.com/gpu"
CPU_POOL = OperatorSettings(pool=PoolSettings(gpu_resource=""))


def named(documents: list[Document]) -> dict[str, Document]:
    return {each["name"]: each for each in documents}


def variables(container: Document) -> dict[str, str | None]:
    """What a process sees: of two of one name the later wins."""
    return {each["name"]: each.get("value") for each in container["env"]}


# Programs.


def test_our_trainer_is_told_its_order_and_its_folder() -> None:
    container = trainer_of(with_trainer())
    assert container["image"] == SETTINGS.trainer_image
    assert container["command"] == [
        "python",
        "-m",
        "lightgpt",
        "train",
        "/var/run/lightcompute/order.yaml",
        "--out",
        "/runs/baseline-0f0e0d0c",
    ]
    assert "args" not in container


def test_several_processes_of_one_node_are_started_by_torchrun() -> None:
    command = trainer_of(with_trainer(numProcPerNode=4))["command"]
    assert command[:3] == ["python", "-m", "torch.distributed.run"]
    assert "--standalone" in command
    assert "--nproc-per-node=4" in command
    assert command[command.index("--no-python") + 1 :][:3] == ["python", "-m", "lightgpt"]


def test_several_nodes_are_started_by_torchrun_with_the_rank_of_their_pod() -> None:
    command = trainer_of(with_trainer(numNodes=2, numProcPerNode=4))["command"]
    assert "--standalone" not in command
    assert "--nnodes=2" in command
    assert "--node-rank=$(JOB_COMPLETION_INDEX)" in command
    assert "--nproc-per-node=4" in command


def test_a_foreign_image_runs_its_own_program_however_many_processes_it_has() -> None:
    run = in_cluster(a_run().foreign().with_spec(trainer={"image": "mine:1", "args": ["--fast"]}))
    container = trainer_of(run)
    assert container["image"] == "mine:1"
    assert "command" not in container
    assert container["args"] == ["--fast"]
    many = run.with_spec(trainer={"image": "mine:1", "command": ["train"], "numNodes": 2})
    assert trainer_of(many)["command"] == ["train"]


def test_a_command_of_the_users_own_is_started_by_torchrun_where_it_trains_by_our_order() -> None:
    command = trainer_of(with_trainer(command=["mine"], args=["-v"], numProcPerNode=2))
    assert command["command"][-2:] == ["--no-python", "mine"]
    assert command["args"] == ["-v"]


def test_only_an_image_of_the_users_own_may_write_into_its_own_files() -> None:
    ours, theirs = trainer_of(with_trainer()), trainer_of(with_trainer(image="mine:1"))
    assert ours["securityContext"]["readOnlyRootFilesystem"] is True
    assert theirs["securityContext"]["readOnlyRootFilesystem"] is False
    assert sidecar_of(with_trainer(image="mine:1"))["securityContext"]["readOnlyRootFilesystem"]


def test_images_are_pulled_as_the_run_says_else_as_the_operator_does() -> None:
    assert "imagePullPolicy" not in trainer_of(with_trainer())
    settings = SETTINGS.model_copy(update={"image_pull_policy": "Never"})
    assert trainer_of(with_trainer(), settings=settings)["imagePullPolicy"] == "Never"
    run = with_trainer(imagePullPolicy="Always")
    assert trainer_of(run, settings=settings)["imagePullPolicy"] == "Always"


def test_secrets_to_pull_with_are_named() -> None:
    run = with_trainer(imagePullSecrets=[{"name": "one"}, {"name": "other"}])
    assert pod_of(run)["imagePullSecrets"] == [{"name": "one"}, {"name": "other"}]
    assert "imagePullSecrets" not in pod_of(with_trainer())


# Variables.


def test_the_contracts_variables_say_what_differs_from_attempt_to_attempt() -> None:
    seen = variables(trainer_of(with_trainer()))
    assert seen[environment.ATTEMPT] == "1"
    assert seen[environment.STOP_AFTER_SECONDS] == "3595"
    assert seen[environment.OUTPUT_FOLDER] == "/runs/baseline-0f0e0d0c"
    assert seen[environment.ORDER] == "/var/run/lightcompute/order.yaml"
    assert seen[environment.TERMINATION_LOG] == "/dev/termination-log"
    assert seen[environment.GLOBAL_SEED] == "1337"


def test_the_contracts_variables_win_over_any_that_came_in_beside_the_reader() -> None:
    run = with_trainer(env=[{"name": "A", "value": "99"}]).build()
    [variable] = run.spec.trainer.env
    sneaked = variable.model_copy(update={"name": environment.ATTEMPT})
    trainer = run.spec.trainer.model_copy(update={"env": (sneaked,)})
    run = run.model_copy(update={"spec": run.spec.model_copy(update={"trainer": trainer})})
    job = manifests_in_own_cluster(run, START, SETTINGS).job
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert variables(container)[environment.ATTEMPT] == "1"


def test_defaults_give_way_to_what_the_run_says() -> None:
    run = with_trainer(env=[{"name": "GLOBAL_SEED", "value": "7"}, {"name": "HOME", "value": "/x"}])
    container = trainer_of(run)
    assert variables(container)["GLOBAL_SEED"] == "7"
    assert variables(container)["HOME"] == "/x"
    names = [each["name"] for each in container["env"]]
    assert len(names) == len(set(names))


def test_a_value_of_a_secret_is_named_and_never_written_out() -> None:
    source = {"secretKeyRef": {"name": "s", "key": "k"}}
    container = trainer_of(with_trainer(env=[{"name": "TOKEN", "valueFrom": source}]))
    assert named(container["env"])["TOKEN"] == {"name": "TOKEN", "valueFrom": source}


# Devices.


@pytest.mark.parametrize(
    ("resources", "processes", "count"),
    [
        ({}, 1, "1"),
        ({}, 8, "8"),
        ({"limits": {GPU: "2"}}, 8, "2"),
        ({"requests": {GPU: "2"}}, 8, "2"),
        ({"requests": {GPU: "1"}, "limits": {GPU: "2"}}, 1, "2"),
        ({"limits": {GPU: "0"}}, 8, None),
        ({"requests": {GPU: "0"}}, 8, None),
    ],
)
def test_a_process_has_a_gpu_of_its_own_unless_the_run_says_otherwise(
    resources: Document, processes: int, count: str | None
) -> None:
    run = with_trainer(numProcPerNode=processes, resourcesPerNode=resources)
    asked = trainer_of(run)["resources"]
    for kind in ("requests", "limits"):
        assert asked.get(kind, {}).get(GPU) == count


def test_nodes_without_gpus_are_asked_for_none() -> None:
    run = with_trainer(resourcesPerNode={"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}})
    asked = trainer_of(run, settings=CPU_POOL)["resources"]
    assert asked == {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}
    assert trainer_of(with_trainer(), settings=CPU_POOL)["resources"] == {}


def test_tensorboard_takes_no_gpu() -> None:
    sidecar = sidecar_of(with_trainer(numProcPerNode=8))
    assert GPU not in str(sidecar["resources"])
    assert sidecar["restartPolicy"] == "Always"
    assert named(sidecar["volumeMounts"]).keys() == {"runs", "tmp"}
    assert all(each.get("readOnly") for each in sidecar["volumeMounts"] if each["name"] == "runs")


# Nodes.


def test_the_operators_node_selector_wins_over_the_runs() -> None:
    run = with_trainer(nodeSelector={"pool": "other", "disk": "fast"})
    assert pod_of(run)["nodeSelector"] == {"pool": "gpu", "zone": "a", "disk": "fast"}


def test_taints_of_the_pool_are_put_up_with_besides_those_of_the_run() -> None:
    given = {"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    found = pod_of(with_trainer(tolerations=[given]))["tolerations"]
    assert found == [given, {"key": "nvidia.com/gpu", "operator": "Exists"}]


# Folders.


def test_a_runs_folder_is_on_its_claim() -> None:
    run = with_trainer().with_spec(storage={"persistentVolumeClaim": {"claimName": "runs-claim"}})
    volume = named(pod_of(run)["volumes"])["runs"]
    assert volume == {"name": "runs", "persistentVolumeClaim": {"claimName": "runs-claim"}}


@pytest.mark.parametrize(
    ("storage", "size"),
    [({}, "50Gi"), ({"ephemeral": {}}, "50Gi"), ({"ephemeral": {"sizeLimit": "2Gi"}}, "2Gi")],
)
def test_without_a_claim_a_runs_folder_is_on_its_nodes_disk_and_bounded(
    storage: Document, size: str
) -> None:
    volume = named(pod_of(with_trainer().with_spec(storage=storage))["volumes"])["runs"]
    assert volume["emptyDir"] == {"sizeLimit": size}


def test_two_runs_of_one_name_have_folders_of_their_own() -> None:
    run = with_trainer()
    folders = {
        variables(trainer_of(each))[environment.OUTPUT_FOLDER]
        for each in (run, run.with_metadata(uid="1f0e0d0c-1111-4222-8333-444455556666"))
    }
    assert len(folders) == 2


def test_claims_are_mounted_where_the_run_says() -> None:
    volumes = [
        {"name": "texts", "claimName": "a", "mountPath": "/data"},
        {"name": "runs", "claimName": "b", "mountPath": "/mine", "readOnly": False},
    ]
    spec = pod_of(with_trainer(volumes=volumes))
    [container] = spec["containers"]
    mounts = named(container["volumeMounts"])
    assert mounts["claim-texts"]["mountPath"] == "/data"
    assert mounts["claim-texts"]["readOnly"] is True
    assert mounts["claim-runs"]["readOnly"] is False
    found = named(spec["volumes"])
    assert found["claim-texts"]["persistentVolumeClaim"] == {"claimName": "a", "readOnly": True}
    assert len(found) == len(spec["volumes"])
    assert "persistentVolumeClaim" not in found["runs"]


def test_what_is_mounted_exists() -> None:
    for run in (with_trainer(), in_cluster(a_run().foreign())):
        spec = pod_of(run)
        found = named(spec["volumes"]).keys()
        for container in (*spec["containers"], *spec["initContainers"]):
            assert {each["name"] for each in container["volumeMounts"]} <= found


# A bucket.

S3 = {
    "bucket": "training",
    "prefix": "runs/",
    "endpoint": "https://s3.example.com",
    "region": "eu-1",
}


def test_a_run_with_a_bucket_is_told_its_own_prefix_and_given_the_key_as_files() -> None:
    run = in_cluster(a_run().with_spec(storage={"s3": {**S3, "secretName": "key"}}))
    [order] = rendered(run).config_maps
    told = parse_model(
        Order, parse_document(order["data"]["order.yaml"], where="order.yaml")
    ).storage.s3
    assert told is not None
    assert told.document() == S3 | {"prefix": f"runs/baseline-{UID[:8]}"}
    container, pod = trainer_of(run), pod_of(run)
    folder = variables(container)[environment.S3_CREDENTIALS]
    assert named(container["volumeMounts"])["s3-key"] == {
        "name": "s3-key", "mountPath": folder, "readOnly": True
    }  # fmt: skip
    volumes = named(pod["volumes"])
    assert volumes["s3-key"]["secret"] == {"secretName": "key", "optional": True}
    assert "emptyDir" in volumes["runs"]
    # The key is the trainer's alone.
    assert "s3-key" not in named(sidecar_of(run)["volumeMounts"])


def test_a_bucket_without_a_secret_is_used_as_the_machines_own_role() -> None:
    run = in_cluster(a_run().with_spec(storage={"s3": {"bucket": "training"}}))
    assert environment.S3_CREDENTIALS not in variables(trainer_of(run))
    assert "s3-key" not in named(pod_of(run)["volumes"])
    [order] = rendered(run).config_maps
    told = parse_model(
        Order, parse_document(order["data"]["order.yaml"], where="order.yaml")
    ).storage.s3
    assert told is not None
    assert told.prefix == f"baseline-{UID[:8]}"


CARRY = ["python", "-m", "lightgpt", "carry"]


def test_a_foreign_program_with_a_bucket_has_its_checkpoints_carried() -> None:
    storage = {"s3": {**S3, "secretName": "key"}}
    checkpoints = {"keepLatest": 2, "keepBest": False}
    run = in_cluster(a_run().foreign()).with_spec(storage=storage, checkpoints=checkpoints)
    run = run.with_spec(trainer={"image": "mine:1", "command": ["train", "$(A)"], "args": ["-v"]})
    container = trainer_of(run)
    *carry, bucket, latest, best, dashes, program, argument = container["command"]
    assert carry == [*CARRY, "--s3"]
    told = parse_model(Bucket, parse_document(bucket, where="--s3"))
    assert told.document() == S3 | {"prefix": f"runs/baseline-{UID[:8]}"}
    assert (latest, best, dashes) == ("--keep-latest=2", "--no-keep-best", "--")
    assert (program, argument) == ("train", "$(A)")
    assert container["args"] == ["-v"]
    folder = variables(container)[environment.S3_CREDENTIALS]
    assert named(container["volumeMounts"])["s3-key"]["mountPath"] == folder


def test_a_command_of_the_users_own_that_takes_our_order_is_told_its_bucket_by_it() -> None:
    run = with_trainer(command=["mine"]).with_spec(storage={"s3": S3})
    assert trainer_of(run)["command"] == [*CARRY, "--", "mine"]
    claim = {"persistentVolumeClaim": {"claimName": "runs"}}
    assert trainer_of(run.with_spec(storage=claim))["command"] == ["mine"]
    assert "carry" not in trainer_of(with_trainer().with_spec(storage={"s3": S3}))["command"]


def test_there_is_one_carrier_a_pod_before_torchrun_and_it_knows_its_rank() -> None:
    storage = {"s3": S3}
    one = trainer_of(with_trainer(command=["mine"], numProcPerNode=4).with_spec(storage=storage))
    assert one["command"][:5] == [*CARRY, "--"]
    assert one["command"][5:8] == ["python", "-m", "torch.distributed.run"]
    assert one["command"].count("carry") == 1
    two = trainer_of(with_trainer(command=["mine"], numNodes=2).with_spec(storage=storage))
    assert two["command"][4] == "--node-rank=$(JOB_COMPLETION_INDEX)"


def test_a_bucket_for_an_image_that_starts_by_itself_is_refused_with_what_to_give() -> None:
    foreign = a_run().foreign().with_spec(storage={"s3": S3})
    [told] = faults_of_storage(foreign.with_spec(trainer={"image": "mine:1"}).build())
    assert "Give spec.trainer.command" in told
    trainer = {"image": "mine:1", "command": ["train"]}
    assert faults_of_storage(foreign.with_spec(trainer=trainer).build()) == ()
    assert faults_of_storage(a_run().with_spec(storage={"s3": S3}).build()) == ()
