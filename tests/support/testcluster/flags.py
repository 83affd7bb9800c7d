"""The command lines of the components: what each is told, and why where it is not plain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.testcluster.nodes import MANAGED

HOST = "127.0.0.1"
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
USERS = {
    "admin": "system:masters",
    # Not by RBAC: a controller manager that is refused while an API server that came back still loads its roles gives up and ends.
    "system:kube-controller-manager": "system:masters",
    "system:kube-scheduler": "",
}
"""Who the components are, with the groups they are in."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything of one control plane is."""

    folder: Path
    host: str = HOST
    etcd_port: int
    etcd_peer_port: int
    apiserver_port: int
    manager_port: int
    scheduler_port: int
    kwok_port: int
    kubelet_port: int

    @property
    def certificates(self) -> Path:
        """Folder where the API server puts the certificate that it makes for itself."""
        return self.folder / "certificates"

    @property
    def ca_file(self) -> Path:
        """The API server's certificate with its authority."""
        return self.certificates / "apiserver.crt"

    @property
    def service_account_key(self) -> Path:
        """Private key that service account tokens are signed with."""
        return self.folder / "service-accounts.key"

    @property
    def tokens(self) -> Path:
        """Tokens of the users."""
        return self.folder / "tokens.csv"

    def kubeconfig(self, user: str) -> Path:
        """Kubeconfig of a component; the administrator's is for people too."""
        return self.folder / f"{user.removeprefix('system:')}.kubeconfig"

    def log(self, component: str) -> Path:
        """What a component says."""
        return self.folder / f"{component}.log"


def etcd(at: Layout) -> tuple[str, ...]:
    """Nothing is kept longer than the process, so nothing is forced to the disk."""
    client, peer = f"http://{at.host}:{at.etcd_port}", f"http://{at.host}:{at.etcd_peer_port}"
    return (
        "etcd",
        f"--data-dir={at.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def apiserver(at: Layout, *, audit_log: Path | None) -> tuple[str, ...]:
    """With RBAC and the usual admission."""
    audit = () if audit_log is None else (
        f"--audit-policy-file={at.folder / 'audit-policy.yaml'}", f"--audit-log-path={audit_log}",
    )  # fmt: skip
    return (
        "kube-apiserver",
        f"--etcd-servers=http://{at.host}:{at.etcd_port}",
        f"--bind-address={at.host}",
        # The certificate is made for this address.
        f"--advertise-address={at.host}",
        # A loopback address is no endpoint for the Service `kubernetes`, and nothing here would use it.
        "--endpoint-reconciler-type=none",
        f"--secure-port={at.apiserver_port}",
        f"--cert-dir={at.certificates}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={at.service_account_key}",
        f"--service-account-signing-key-file={at.service_account_key}",
        f"--token-auth-file={at.tokens}",
        "--authorization-mode=Node,RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        # A namespace deleted by a test should be gone soon; its objects are few.
        "--delete-collection-workers=4",
        *audit,
    )


def controller_manager(at: Layout) -> tuple[str, ...]:
    """All controllers, as one user."""
    return (
        "kube-controller-manager",
        f"--kubeconfig={at.kubeconfig('system:kube-controller-manager')}",
        f"--bind-address={at.host}",
        f"--secure-port={at.manager_port}",
        f"--service-account-private-key-file={at.service_account_key}",
        f"--root-ca-file={at.ca_file}",
        # The usual 20 requests a second are little where tests make many objects and wait for them.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--leader-elect=false",
    )


def scheduler(at: Layout) -> tuple[str, ...]:
    """The usual profile: taints, selectors, resources, preemption."""
    return (
        "kube-scheduler",
        f"--kubeconfig={at.kubeconfig('system:kube-scheduler')}",
        f"--bind-address={at.host}",
        f"--secure-port={at.scheduler_port}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--leader-elect=false",
    )


CONTROLLERS_AS_SHIPPED = ("--kube-api-qps=20", "--kube-api-burst=30")
SCHEDULER_AS_SHIPPED = ("--kube-api-qps=50", "--kube-api-burst=100")
"""Requests a second that the components allow themselves when nobody says otherwise: for measuring what a cluster does that nobody tuned."""


NODE_LEASE_SECONDS = 40
"""How long a simulated node is believed after it was heard from, as of a kubelet."""


def kwok(at: Layout, stages: tuple[Path, ...]) -> tuple[str, ...]:
    """Runs pods in name only, by our stages alone, on the nodes that carry our label: a node that loses it is lost at once."""
    return (
        f"--kubeconfig={at.kubeconfig('admin')}",
        f"--manage-nodes-with-label-selector={MANAGED}=true",
        f"--server-address={HOST}:{at.kwok_port}",
        f"--node-ip={HOST}",
        # It renews none unless it is told so, and then the node controller takes each node for lost every minute.
        f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
        *(f"--config={stage}" for stage in stages),
    )
