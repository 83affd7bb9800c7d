"""Kubernetes operator, local executor and command line for training runs."""
