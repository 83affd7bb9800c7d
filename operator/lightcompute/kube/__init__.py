"""Kubernetes as a world for the loop: a client a cluster, what is observed, idempotent performing, and thin kopf handlers.

It decides nothing: what should happen to a run is `core`. Nothing that matters is kept in memory only: after a restart, lists
of the API server and the runs' own statuses say everything.
"""
