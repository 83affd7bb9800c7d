"""The foreign trainer as a program of several ranks, started by torchrun: rank 0 saves and reports, all agree on every step.

Ranks that went on from different checkpoints say so and leave with exit code 3.
"""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist

from runcontract.progress import Report
from support.foreign_trainer import Trainer

DIFFERENT = 3


class Rank(Trainer):
    """One of them."""

    def __init__(self) -> None:
        self.rank = int(os.environ["RANK"])
        self.told_to_leave = False
        super().__init__()
        if self.rank:
            self.termination_log = None

    def agrees(self) -> bool:
        """Whether all ranks stand at the same checkpoint."""
        all_of_them: list[object] = [None] * dist.get_world_size()
        dist.all_gather_object(all_of_them, (self.step, self.weights))
        return len(set(map(str, all_of_them))) == 1

    def _take_a_step(self) -> None:
        told = torch.tensor([int(self.told_to_leave)])
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        self.asked = bool(told.item())
        super()._take_a_step()

    def _ask(self, *_: object) -> None:
        self.told_to_leave = True

    def _save(self) -> None:
        if self.rank == 0:
            super()._save()

    def _say(self, report: Report) -> None:
        if self.rank == 0:
            super()._say(report)


def main() -> int:
    dist.init_process_group("gloo")
    trainer = Rank()
    if not trainer.agrees():
        print(f"rank {trainer.rank} went on from step {trainer.step}", file=sys.stderr)
        return DIFFERENT
    code = trainer.run()
    dist.barrier()
    return code


if __name__ == "__main__":
    sys.exit(main())
