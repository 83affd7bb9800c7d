"""Claims on folders of this machine, for runs whose checkpoints are to outlive their pods. Tests see what is in them."""

from __future__ import annotations

import os
from pathlib import Path

from support.realnode.rig import Rig

USER_ID = 65532
"""Whom trainers run as; a folder of the machine is not made theirs by Kubernetes."""


def claim(rig: Rig, namespace: str, name: str = "runs", *, folder: Path | None = None) -> Path:
    """Makes a claim that is bound to a folder, a fresh one of the rig where none is given; gives the folder."""
    if folder is None:
        folder = rig.folder / "claims" / namespace / name
        folder.mkdir(parents=True)
        os.chown(folder, USER_ID, USER_ID)
    volume = f"{namespace}-{name}"
    shape = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeMode": "Filesystem",
    }
    rig.api.post(
        "/api/v1/persistentvolumes",
        {
            "metadata": {"name": volume},
            "spec": {
                **shape,
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": str(folder), "type": "Directory"},
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": namespace, "name": name},
            },
        },
    )
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    wanted = {**shape, "volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}}
    rig.api.post(claims, {"metadata": {"name": name}, "spec": wanted})
    rig.api.eventually(
        f"{claims}/{name}", lambda found: found.get("status", {}).get("phase") == "Bound"
    )
    return folder
