"""containerd: where images and containers live. Its images outlast the rig, since unpacking gigabytes takes a minute; its containers don't."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.realnode.programs import PLUGINS
from support.realnode.space import Space
from support.testcluster.processes import Component

SOCKET = "/run/containerd/containerd.sock"
NETWORKS = "/run/cni"
SEEN = "/var/lib/containerd"
"""Where its folder is seen inside."""
_CRI = "io.containerd.grpc.v1.cri"
_NAMESPACE = "k8s.io"
_HASH = "sha256:"
_IMPORT_SECONDS = 600


class Answers:
    """Ready when the daemon answers on its socket."""

    def __init__(self, space: Space):
        self._space = space

    def answers(self) -> bool:
        """Whether it does."""
        try:
            self._space.run("ctr", "--address", SOCKET, "version", seconds=10)
        except RuntimeError:
            return False
        return True


class Store:
    """The containerd of one rig."""

    def __init__(self, space: Space, *, pause_image: str):
        self._space = space
        self._pause_image = pause_image
        self._component: Component | None = None

    def start(self) -> None:
        """Cleans what an earlier rig left behind, and starts."""
        self._run(with_pods=False)
        for container in self._ctr("containers", "list", "--quiet").split():
            self._ctr("containers", "rm", container)
        self._forget_nameless()
        self.stop()
        shutil.rmtree(self._space.outside(f"{SEEN}/{_CRI}"), ignore_errors=True)
        self._run(with_pods=True)

    def stop(self) -> None:
        """Ends the daemon; containers go on until the rig ends."""
        if self._component is not None:
            self._component.kill()

    def has(self, image: str) -> bool:
        """Whether an image of this name is there."""
        return image in self._ctr("images", "list", "--quiet").split()

    def load(self, image: str, archive_of: Callable[[], Path]) -> None:
        """Takes `image` in from the archive that the function gives; asks for none where it is there. Earlier ones of its kind go."""
        if self.has(image):
            return
        repository = image.rpartition(":")[0]
        self._remove(name for name in self._digests() if name.startswith(f"{repository}:"))
        archive = archive_of()
        self._ctr("images", "import", str(archive), seconds=_IMPORT_SECONDS)
        assert self.has(image), f"{archive} holds no image {image}"

    def _forget_nameless(self) -> None:
        """Under its hash an image is kept although its name is gone."""
        digests = self._digests()
        named = {digest for name, digest in digests.items() if not name.startswith(_HASH)}
        self._remove(name for name, digest in digests.items() if digest not in named)

    def _digests(self) -> dict[str, str]:
        """Names of images, with what they name."""
        rows = (line.split() for line in self._ctr("images", "list").splitlines()[1:])
        return {row[0]: row[2] for row in rows}

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            # What they are made of goes with the names.
            self._ctr("images", "rm", "--sync", name)

    def _run(self, *, with_pods: bool) -> None:
        config = self._space.folder / "containerd.toml"
        config.write_text(_config(self._pause_image, with_pods=with_pods), encoding="utf-8")
        self._component = Component(
            "containerd",
            (*self._space.inside, "containerd", "--config", str(config)),
            log=self._space.folder / "containerd.log",
            ready=Answers(self._space),
        )
        self._component.start()
        self._component.wait_ready()

    def _ctr(self, *arguments: str, seconds: float = 120) -> str:
        return self._space.run(
            "ctr", "--address", SOCKET, "--namespace", _NAMESPACE, *arguments, seconds=seconds
        )


def cache() -> Path:
    """Where the rig keeps what is dear to make: images, and what they are made of."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lightcompute" / "e2e"


@contextmanager
def alone() -> Iterator[None]:
    """One rig at a time on a machine: it is made for one, and the images are in one place. Waits for its turn."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _config(pause_image: str, *, with_pods: bool) -> str:
    disabled = [
        f"io.containerd.snapshotter.v1.{each}" for each in ("aufs", "btrfs", "devmapper", "zfs")
    ]
    if not with_pods:
        disabled.append(_CRI)
    return f"""\
version = 2
root = "{SEEN}"
state = "/run/containerd"
disabled_plugins = {disabled}

[grpc]
address = "{SOCKET}"

[plugins."{_CRI}"]
sandbox_image = "{pause_image}"
# A machine may lack the right to make a process less likely to be killed for want of memory than its parent.
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"

[plugins."{_CRI}".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{NETWORKS}"

[plugins."{_CRI}".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."{_CRI}".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
