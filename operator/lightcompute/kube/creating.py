"""Creates a child under its one name, or adopts what is there, if that is ours and of the same attempt."""

from __future__ import annotations

from contextlib import suppress

from lightcompute.api import labels
from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.faults import AlreadyExists
from lightcompute.kube.paths import Kind


class NameTaken(TemporaryFault):
    """What has the name is not ours, or is on its way out: somebody has to remove it, or it goes by itself."""


async def created(client: ClusterClient, kind: Kind, document: Document) -> Document | None:
    """What was created; None where it exists already. Raises NameTaken, and the faults of `client`."""
    metadata = document["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    with suppress(AlreadyExists):
        return await client.create(kind.within(namespace), document)
    existing = await client.get(kind.named(namespace, name))
    marks = existing["metadata"].get("labels") or {}
    same = all(
        marks.get(mark) == metadata["labels"][mark]
        for mark in (labels.RUN_UID, labels.ATTEMPT, labels.PURPOSE)
    )
    if not same:
        raise NameTaken(
            f"{kind.plural}/{name} in {namespace} exists and belongs to something else: delete or rename it"
        )
    if existing["metadata"].get("deletionTimestamp"):
        raise NameTaken(f"{kind.plural}/{name} in {namespace} is still being deleted")
    return None
