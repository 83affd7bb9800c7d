"""Carries the checkpoints of a program that knows nothing of buckets: brings the newest before it starts, takes each away as it is saved.

The program follows the documented folder and manifest (docs/contract.md) and nothing more. Nothing here needs torch.

In which order things are told. A line of the program is passed on at once, but for two kinds. A `checkpoint` report waits until the bucket
has the checkpoint, for whoever reads it takes "saved" for "outlives this machine"; later lines go past it, as they go past a save of our own
trainer, which is told when it is whole and not when it began. `results` and `finished` wait for the program's end and the last checkpoint:
they are last words, and may have to be others.

Checkpoints are taken away one after the other, oldest first: one that is pinned must not be left out because a newer one is there. One is
under way and one may wait. When a third is told, nothing more is read from the program until there is room: it goes on until it has filled
its pipe, and then waits where it writes its next line, instead of filling the disk with checkpoints that a slow bucket does not take.
"""
