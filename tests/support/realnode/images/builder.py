"""Images made on this machine, with no engine and no registry: buildah with a store of its own, in mounts of its own.

What is named by the hash of what it is made of is made once and kept outside the checkout.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from support.realnode.store import cache

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts: where it reaches package indexes through a proxy, so must what is built on it."""
_AUTHORITIES_SEEN = "/run/authorities.crt"
_PIP_SETTINGS = Path("/etc/pip.conf")
_BUILD_SECONDS = 1800
_MOST_STAGES = 8
"""Stages of earlier builds that are kept, since they save a minute where they fit; each takes up to two gigabytes."""


def key(*parts: str | bytes) -> str:
    """A short name for what is made of `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def key_of_files(paths: Iterable[Path], *, root: Path) -> str:
    """The same for files, by name and content, whatever their order."""
    return key(
        *(f"{path.relative_to(root)}:{key(path.read_bytes())}" for path in sorted(set(paths)))
    )


def build(context: Path, containerfile: str, *, image: str) -> None:
    """Builds `image` from the text of a Containerfile and the files of a folder into the builder's store."""
    (context / "Containerfile").write_text(containerfile, encoding="utf-8")
    run("buildah", "build", "--layers", "--tag", image, str(context))


def has(image: str) -> bool:
    """Whether the builder's store has it."""
    return bool(run("buildah", "images", "--quiet", "--filter", f"reference={image}").strip())


def forget_others(image: str) -> None:
    """Removes images of the same name with another tag: what is still of use of them is part of this one. And old stages, once there are many."""
    repository = image.rpartition(":")[0]
    listed = run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").split()
    for other in listed:
        if other.startswith(f"{repository}:") and other != image:
            run("buildah", "rmi", other)
    if listed.count("<none>:<none>") > _MOST_STAGES:
        run("buildah", "rmi", "--prune")


def archive(image: str) -> Path:
    """The image as a file that containerd takes in; the next one takes its place."""
    file = cache() / "image.tar"
    file.unlink(missing_ok=True)
    run("buildah", "push", image, f"docker-archive:{file}:{image}")
    return file


def run(*command: str) -> str:
    """What a command says that uses the builder's store; raises RuntimeError with the end of what it complained of."""
    begin = time.monotonic()
    # Mounts of its own: whatever ends it, none is left on the machine.
    done = subprocess.run(
        ["nice", "unshare", "--mount", "--propagation=private", *command],
        env={**os.environ, **_settings()},
        capture_output=True,
        text=True,
        check=False,
        timeout=_BUILD_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(
            f"`{' '.join(command)}` ended with {done.returncode} after {time.monotonic() - begin:.0f} s:\n"
            f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def pip_settings() -> Path:
    """How pip finds its index during a build: as on this machine."""
    settings = configparser.ConfigParser()
    settings.read(_PIP_SETTINGS, encoding="utf-8")
    if _AUTHORITIES.exists():
        settings.read_dict({"global": {"cert": _AUTHORITIES_SEEN}})
    file = cache() / "pip.conf"
    with file.open("w", encoding="utf-8") as opened:
        settings.write(opened)
    return file


def _settings() -> dict[str, str]:
    """Its store is in our cache; it needs no container engine and no rights to pull."""
    store, containers = cache() / "storage.conf", cache() / "containers.conf"
    store.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{cache() / "buildah"}"\nrunroot = "{cache() / "buildah-run"}"\n',
        encoding="utf-8",
    )
    volumes = (
        f'volumes = ["{_AUTHORITIES}:{_AUTHORITIES_SEEN}:ro"]\n' if _AUTHORITIES.exists() else ""
    )
    containers.write_text(f"[containers]\n{volumes}", encoding="utf-8")
    return {
        "BUILDAH_ISOLATION": "chroot",
        "BUILDAH_LAYERS": "true",
        "CONTAINERS_STORAGE_CONF": str(store),
        "CONTAINERS_CONF": str(containers),
    }
