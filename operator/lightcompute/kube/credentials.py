"""The credentials of one TrainingCluster: read from its Secret again and again, and made anew by their program before they expire."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import Connection as Wanted
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.connection import Connection, connection_of
from lightcompute.kube.faults import Forbidden, NotFound
from lightcompute.kube.kubeconfig import Unusable, kubeconfig_in
from lightcompute.kube.paths import SECRETS
from lightcompute.kube.settings import OperatorSettings

logger = logging.getLogger(__name__)

LONGEST_LEAD_SECONDS = 120.0
"""So long before they expire, or in the last third of their life, other credentials are asked for."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Credentials that may be taken."""

    connection: Connection
    digest: str
    """Of the kubeconfig that they come from."""
    renew_at: float
    expires_at: float
    """Both on the clock of this process; never for what does not expire."""


class Credentials:
    """What the Secret that `wanted` names says, as far as it was taken."""

    def __init__(self, own: Site, wanted: Wanted, settings: OperatorSettings) -> None:
        self._own = own
        self._wanted = wanted
        self._settings = settings
        self._taken: Found | None = None
        self._refused = False

    def taken(self, found: Found) -> None:
        """These are used from now on."""
        self._taken, self._refused = found, False

    def refused(self) -> None:
        """The server does not know what was taken: a program is asked for other credentials, expired or not."""
        self._refused = True

    async def newer(self, folder: Path) -> Found | None:
        """What is to be taken now; None where nothing but what was taken is there. Raises Unusable, and TemporaryFault of our own server."""
        kubeconfig = await self._kubeconfig()
        digest, taken = hashlib.sha256(kubeconfig).hexdigest(), self._taken
        is_known = taken is not None and digest == taken.digest
        if taken is not None and is_known and not self._is_due(taken):
            return None
        began, now = time.monotonic(), datetime.now(UTC)
        try:
            connection = await connection_of(
                kubeconfig,
                context=self._wanted.context,
                folder=folder,
                allow_programs=self._settings.allow_exec_plugins,
                now=now,
            )
        except Unusable as trouble:
            if taken is None or not is_known or self._refused or began >= taken.expires_at:
                raise
            logger.warning("%s; what it gave before holds on for a while.", trouble)
            return None
        renew_at = expires_at = float("inf")
        if connection.expires_time is not None:
            lasts = (connection.expires_time - now).total_seconds()
            expires_at = began + lasts
            renew_at = expires_at - min(LONGEST_LEAD_SECONDS, lasts / 3)
        return Found(connection=connection, digest=digest, renew_at=renew_at, expires_at=expires_at)

    def _is_due(self, taken: Found) -> bool:
        if not taken.connection.has_program:
            return False
        return self._refused or time.monotonic() >= taken.renew_at

    async def _kubeconfig(self) -> bytes:
        where = self._wanted.kubeconfig_secret
        assert where is not None, "the schema wants one of two ways"
        namespace = self._settings.lease_namespace
        try:
            secret = await self._own.client.get(SECRETS.named(namespace, where.name))
        except (NotFound, Forbidden) as fault:
            told = f"the Secret {where.name} in {namespace} cannot be read: {fault}"
            raise Unusable(Reason.SECRET_MISSING, told[:600]) from fault
        return kubeconfig_in(secret, where.key)
