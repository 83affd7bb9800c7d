"""`make cluster`: real control planes with simulated GPU nodes, for people to play with until they press Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from support.source import CHECKOUT
from support.testcluster.binaries import NoBinaries
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fleet import Pool, join

NAMES = ("us-ord1", "us-iad1", "eu-fra1")
POOLS = {
    "us-ord1": {"A100-40GB": 2, "L40S": 2},
    "us-iad1": {"A100-40GB": 1, "A100-80GB": 2},
    "eu-fra1": {"A100-80GB": 1, "L40S": 2},
}
"""Nodes of 8 GPUs in each."""
_JOB = "tests/testcluster/trainer-job.yaml"
_LOOK_SECONDS = 1


def main(arguments: list[str]) -> int:
    """Starts the clusters, says how to use them, and waits."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--clusters", type=int, default=1, choices=range(1, len(NAMES) + 1))
    wanted = parser.parse_args(arguments).clusters
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="lightcompute-cluster-") as folder,
        ExitStack() as open_,
    ):
        try:
            planes = [open_.enter_context(_started(Path(folder), name)) for name in NAMES[:wanted]]
            if len(planes) > 1:
                _join(planes)
            _say(_welcome(planes))
            _watch(planes)
        except NoBinaries as reason:
            _say(str(reason))
            return 1
        except KeyboardInterrupt:
            _say("Stopping.")
    return 0


def _started(folder: Path, name: str) -> ControlPlane:
    begin = time.monotonic()
    plane = ControlPlane.start(folder / name, name)
    try:
        for gpu_type, count in POOLS[name].items():
            plane.add_nodes(count, gpu_type)
        for file in sorted((CHECKOUT / "crds").glob("*.yaml")):
            plane.api.apply_crd(file)
    except BaseException:
        plane.stop()
        raise
    _say(f"{name} is ready after {time.monotonic() - begin:.1f} s.")
    return plane


def _join(planes: list[ControlPlane]) -> None:
    """The first cluster takes runs, and all of them are places for these."""
    for plane in planes:
        pools = tuple(Pool(gpu_type=gpu_type) for gpu_type in POOLS[plane.name])
        join(planes[0], plane, pools, operator_namespace="default")


def _operator(planes: list[ControlPlane]) -> list[str]:
    if len(planes) > 1:
        return [
            "  kubectl get tcluster",
            "  .venv/bin/lightcompute operator --http-host 127.0.0.1 --training-clusters &",
        ]
    return [
        "  .venv/bin/lightcompute operator --http-host 127.0.0.1 --gpu-type A100-40GB \\",
        "    --node-selector lightcompute.dev/gpu-type=A100-40GB --price-per-gpu-hour-usd 1.29 &",
    ]


def _welcome(planes: list[ControlPlane]) -> str:
    first, *others = planes
    lines = [
        "",
        "A real Kubernetes; its nodes, GPUs and trainers are simulated. In another terminal:",
        "",
        f"  export KUBECONFIG={first.kubeconfig}",
        "  kubectl get nodes -L lightcompute.dev/gpu-type",
        *_operator(planes),
        "  kubectl apply -f examples/baseline-run.yaml",
        "  kubectl get trun -w",
        "",
        f"  kubectl create -f {_JOB}    # a trainer without the operator: kubectl logs -f job/trainer",
        "",
    ]
    lines += [f"  {plane.name} is reached by KUBECONFIG={plane.kubeconfig}" for plane in others]
    lines += ["" for _ in others[:1]]
    return "\n".join([*lines, "Ctrl-C ends it, and everything in it is gone."])


def _watch(planes: list[ControlPlane]) -> None:
    """Waits for Ctrl-C; a component that dies meanwhile is told of, once."""
    told: set[tuple[str, str]] = set()
    while True:
        time.sleep(_LOOK_SECONDS)
        for plane in planes:
            for component in plane.components:
                if not component.is_alive and (plane.name, component.name) not in told:
                    told.add((plane.name, component.name))
                    _say(f"{component.name} of {plane.name} has ended:\n{component.last_words()}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
