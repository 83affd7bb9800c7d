"""The resources as the API server is told of them: CustomResourceDefinitions made from the models of `lightcompute.api`.

`python -m lightcompute.api.crd` writes them to `crds/`; a test holds the files equal to the models. Pure, and imported by
nothing that runs: a cluster gets the files.
"""

from lightcompute.api.crd.definition import Column, Resource, definition
from lightcompute.api.crd.resources import RESOURCES, TRAINING_CLUSTER, TRAINING_RUN
from lightcompute.api.crd.rule import Rule

__all__ = [
    "RESOURCES",
    "TRAINING_CLUSTER",
    "TRAINING_RUN",
    "Column",
    "Resource",
    "Rule",
    "definition",
]
