"""What an attempt is made of in a cluster, as documents: pure builders, from a run, a decision and the operator's settings.

A Job with a pod a node, the order as a ConfigMap, a headless Service where ranks must find each other, a Service for TensorBoard.
Nothing here asks anybody anything; the same arguments always give the same documents.
"""

from lightcompute.kube.manifests.attempt import Manifests, manifests_of

__all__ = ["Manifests", "manifests_of"]
