"""What a test needs of a cluster, whether this package started it or a person gave it."""

from __future__ import annotations

from pathlib import Path

from support.testcluster.api import Api
from support.testcluster.kubeconfig import Access, read_kubeconfig


class Cluster:
    """One API server, reached as an administrator."""

    is_simulated = False
    """Whether its nodes are simulated, and its pods with them."""

    def __init__(self, *, name: str, folder: Path, kubeconfig: Path, access: Access):
        self.name = name
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.access = access
        self.api = Api(access)

    @property
    def server(self) -> str:
        """Address of the API server."""
        return self.access.server

    @property
    def token(self) -> str:
        """Bearer token of the administrator; empty where certificates are used."""
        return self.access.token

    @property
    def ca_file(self) -> Path:
        """Certificates that the server's own is checked against."""
        assert self.access.ca_file is not None, f"{self.kubeconfig} names no certificate authority"
        return self.access.ca_file

    def stop(self) -> None:
        """Lets go of it."""
        self.api.close()


def given_cluster(kubeconfig: Path, *, folder: Path) -> Cluster:
    """A cluster that runs already."""
    access = read_kubeconfig(kubeconfig, folder=folder)
    return Cluster(name="given", folder=folder, kubeconfig=kubeconfig, access=access)
