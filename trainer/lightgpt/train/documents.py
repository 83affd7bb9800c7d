"""The documents that a run's folder begins with: the order that is obeyed, the audit trail, the tokenizer."""

from __future__ import annotations

import hashlib
import sys

import torch

from lightgpt.train import audit
from lightgpt.train.determinism import seeds_in_force
from lightgpt.train.files import storage, write_atomically
from lightgpt.train.material import Material, Terms
from runcontract import folder as layout
from runcontract.audit import Audit
from runcontract.order import configuration_hash


def write_documents(terms: Terms, material: Material) -> Audit:
    """order.yaml, audit.json and the tokenizer; gives the audit trail."""
    order_path = terms.folder / layout.ORDER
    if not (order_path.exists() and order_path.samefile(terms.order_path)):
        write_atomically(order_path, terms.order.text())
    tokenizer_folder = terms.folder / layout.TOKENIZER
    with storage(tokenizer_folder):
        tokenizer_folder.mkdir(exist_ok=True)
        material.data.tokenizer.save(tokenizer_folder)
    document = _audit(terms, material, hashlib.sha256(order_path.read_bytes()).hexdigest())
    text = document.model_dump_json(by_alias=True, exclude_none=True, indent=1)
    write_atomically(terms.folder / layout.AUDIT, f"{text}\n")
    return document


def _audit(terms: Terms, material: Material, order_sha256: str) -> Audit:
    training, data = terms.order.training, material.data
    return Audit(
        run_name=terms.order.run.name,
        run_uid=terms.order.run.uid,
        attempt=terms.environment.attempt,
        started_time=terms.started_time,
        command=tuple(sys.argv[:256]),
        packages=audit.packages(),
        python=audit.python_version(),
        platform=audit.platform_name(),
        hardware=audit.hardware(threads=material.threads),
        git_commit=audit.git_commit(),
        image_digest=audit.image_digest(terms.variables),
        seeds=seeds_in_force(terms.variables, order_seed=training.seed),
        environment=audit.environment(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        data_root=str(terms.data_root.absolute()),
        order_sha256=order_sha256,
        configuration_hash=configuration_hash(training),
        data_sha256=data.data_sha256,
        tokenizer_sha256=data.tokenizer_sha256,
        training_tokens=len(data.training.tokens),
        validation_tokens=len(data.validation.tokens),
    )
