"""The loss of a part of a text: every token but its first scored exactly once, in contiguous windows.

The sums are in double precision; characters and bytes are those of the scored tokens, to the last one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from lightgpt.data.batches import evaluation_windows
from lightgpt.data.prepared import TextPart
from lightgpt.divergence import DivergedError
from lightgpt.model.gpt import GPT
from lightgpt.tokenizer.protocol import TextTokenizer
from lightgpt.train.world import World
from runcontract.losses import Loss, loss_from_sum


@torch.no_grad()
def evaluate(
    model: GPT,
    part: TextPart,
    tokenizer: TextTokenizer,
    *,
    batch_size: int,
    world: World,
    precision: Callable[[], AbstractContextManager[None]] = nullcontext,
    interrupted: Callable[[], bool] = lambda: False,
) -> Loss | None:
    """The loss of `part`, shared out over the processes; None when `interrupted` said so between two batches.

    Raises `DivergedError` when it is no number.
    """
    was_training = model.training
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=world.device)  # nats, tokens
    stopped = False
    windows = evaluation_windows(part, model.config.context_length, batch_size)
    for index, (inputs, targets) in enumerate(windows):
        if stopped := interrupted():
            break
        if index % world.size != world.rank:
            continue
        inputs_BT = torch.from_numpy(inputs).to(world.device)
        targets_BT = torch.from_numpy(targets).to(world.device)
        with precision():
            losses_BT = model.token_losses(inputs_BT, targets_BT)
        sums[0] += losses_BT.double().sum()
        sums[1] += (targets_BT >= 0).sum()
    model.train(was_training)
    if world.most(int(stopped)):
        return None
    nats, tokens = world.total(sums).tolist()
    if not math.isfinite(nats):
        raise DivergedError(f"the loss over {int(tokens)} tokens of text is {nats}")
    characters, bytes_ = scored_lengths(part, tokenizer)
    return loss_from_sum(sum_nats=nats, tokens=int(tokens), characters=characters, bytes_=bytes_)


def scored_lengths(part: TextPart, tokenizer: TextTokenizer) -> tuple[int, int]:
    """Characters and bytes of all tokens but the first, which nothing predicts."""
    first = tokenizer.decode([int(token) for token in part.tokens[:1]])
    if (
        first == _PART_OF_A_CHARACTER
    ):  # a byte token; its character is complete only with scored ones
        return part.characters, part.bytes_ - 1
    return part.characters - len(first), part.bytes_ - len(first.encode())


_PART_OF_A_CHARACTER = "\ufffd"
