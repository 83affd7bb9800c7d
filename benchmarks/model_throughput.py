"""Training tokens a second of our model and of a plain PyTorch GPT of the same shapes, in FP32 and under BF16 autocast.

    python benchmarks/model_throughput.py [--steps 20] [--threads 2] [--vocabularies 16000 65]
    python benchmarks/model_throughput.py --peer-model ~/nanoGPT/model.py

6 layers, 6 heads, 384 wide, 8 sequences of 256 tokens, output layer tied. A step is the loss, its gradients and AdamW: the
same fused AdamW of PyTorch for both, so that the ratio is the models' alone. The peer is written below (learned positions,
LayerNorm, one matrix for queries, keys and values, scaled_dot_product_attention, GELU, cross_entropy) or, with --peer-model, the file
model.py of a nanoGPT checkout. All take turns at the same batches in one process; ratios of medians are what holds on other
machines. Goals: ours in FP32 at least as fast as the peer in FP32; ours in BF16 1.7 times as fast as the peer in FP32 with 16,000
tokens and twice as fast with 65, on a processor that multiplies bfloat16.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor, nn
from torch.nn import functional as F

from lightgpt.model.gpt import GPT
from lightgpt.train.world import processors
from runcontract.document import parse_model
from runcontract.order import Model

LAYERS, HEADS, WIDTH, CONTEXT, SEQUENCES = 6, 6, 384, 256, 8
GOALS = {
    16_000: {"ours_fp32_over_peer_fp32": 1.0, "ours_bf16_over_peer_fp32": 1.7},
    65: {"ours_fp32_over_peer_fp32": 1.0, "ours_bf16_over_peer_fp32": 2.0},
}
WARM_UP = 2
"""Rounds before those that count."""

Loss = Callable[[Tensor, Tensor], Tensor]


class PlainBlock(nn.Module):
    """Attention and MLP as a tutorial has them."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.output = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp_norm = nn.LayerNorm(WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x_BTC: Tensor) -> Tensor:
        qkv_BTC: Tensor = self.qkv(self.attention_norm(x_BTC))
        q_BHTD, k_BHTD, v_BHTD = (
            part_BTC.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)
            for part_BTC in qkv_BTC.split(WIDTH, dim=2)
        )
        seen_BHTD = F.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, is_causal=True)
        x_BTC = x_BTC + self.output(seen_BHTD.transpose(1, 2).flatten(2))
        thought_BTC: Tensor = self.down(F.gelu(self.up(self.mlp_norm(x_BTC))))
        return x_BTC + thought_BTC


class PlainGPT(nn.Module):
    """The peer: what PyTorch's own modules give without further thought."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(PlainBlock() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        self.head.weight = self.token.weight
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Mean nats per token."""
        x_BTC = self.token(tokens_BT) + self.position(torch.arange(tokens_BT.shape[1]))
        logits_BTV: Tensor = self.head(self.norm(self.blocks(x_BTC)))
        return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=-1)


@dataclass(kw_only=True)
class Contender:
    """A model in training, and the seconds of its steps by precision."""

    name: str
    model: nn.Module
    loss: Loss
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"fp32": [], "bf16": []})

    def __post_init__(self) -> None:
        self.model.train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    def step(self, precision: str, tokens_BT: Tensor, targets_BT: Tensor) -> None:
        """One training step."""
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = self.loss(tokens_BT, targets_BT)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def tokens_per_s(self, precision: str) -> float:
        """At the median step."""
        return SEQUENCES * CONTEXT / statistics.median(self.seconds[precision])


def ours(vocabulary: int, kernel: str) -> Contender:
    """Our model as an order describes it."""
    described = {
        "layers": LAYERS,
        "heads": HEADS,
        "embeddingSize": WIDTH,
        "contextLength": CONTEXT,
        "tiedEmbeddings": True,
        "attentionKernel": kernel,
    }
    model = GPT(parse_model(Model, described), vocabulary)
    model.initialize(1337)
    return Contender(name="ours", model=model, loss=model.loss)


def peer(vocabulary: int, path: Path | None) -> Contender:
    """The plain model, or that of a nanoGPT checkout's file `path`."""
    if path is None:
        plain = PlainGPT(vocabulary)
        return Contender(name="plain PyTorch", model=plain, loss=plain.loss)
    module = imported(path)
    config = module.GPTConfig(
        block_size=CONTEXT,
        vocab_size=vocabulary,
        n_layer=LAYERS,
        n_head=HEADS,
        n_embd=WIDTH,
        dropout=0.0,
        bias=False,
    )
    with contextlib.redirect_stdout(sys.stderr):  # it tells its size
        model = module.GPT(config)
    return Contender(
        name="nanoGPT", model=model, loss=lambda tokens, targets: model(tokens, targets)[1]
    )


def imported(path: Path) -> Any:
    """The module in the file `path`."""
    spec = importlib.util.spec_from_file_location("peer_model", path)
    if spec is None or spec.loader is None or not path.is_file():
        sys.exit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def measure(contenders: list[Contender], vocabulary: int, steps: int, clock: str) -> None:
    """Has the contenders take turns; who goes first goes round."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    generator = torch.Generator().manual_seed(1337)
    turns = [(contender, precision) for precision in ("fp32", "bf16") for contender in contenders]
    for number in range(WARM_UP + steps):
        tokens_BT = torch.randint(vocabulary, (SEQUENCES, CONTEXT + 1), generator=generator)
        inputs_BT, targets_BT = tokens_BT[:, :-1].contiguous(), tokens_BT[:, 1:].contiguous()
        first = number % len(turns)
        for contender, precision in turns[first:] + turns[:first]:
            began_s = now()
            contender.step(precision, inputs_BT, targets_BT)
            if number >= WARM_UP:
                contender.seconds[precision].append(now() - began_s)


def compared(our: Contender, other: Contender) -> dict[str, float]:
    """Ratios of tokens a second at the medians."""
    pairs = (("fp32", "fp32"), ("bf16", "fp32"), ("bf16", "bf16"))
    return {
        f"ours_{mine}_over_peer_{its}": round(our.tokens_per_s(mine) / other.tokens_per_s(its), 3)
        for mine, its in pairs
    }


def main() -> None:
    """Prints one JSON line a model and precision, and one of ratios a vocabulary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="steps of each that count")
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--vocabularies", nargs="+", type=int, default=list(GOALS))
    parser.add_argument("--kernel", choices=("Plain", "Fused"), default="Plain", help="ours")
    parser.add_argument("--peer-model", type=Path, help="model.py of a nanoGPT checkout")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time, for one thread on a machine that others use too",
    )
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads > 1:
        parser.error("--clock cpu adds up the time of all threads: give --threads 1")
    torch.set_num_threads(options.threads)
    print(f"# {machine()}, {options.threads} threads, {options.clock} time")
    for vocabulary in options.vocabularies:
        torch.manual_seed(1337)
        contenders = [ours(vocabulary, options.kernel), peer(vocabulary, options.peer_model)]
        measure(contenders, vocabulary, options.steps, options.clock)
        for contender in contenders:
            for precision, seconds in contender.seconds.items():
                line = {
                    "vocabulary": vocabulary,
                    "model": contender.name,
                    "parameters": sum(p.numel() for p in contender.model.parameters()),
                    "precision": precision,
                    "median_step_ms": round(statistics.median(seconds) * 1e3, 1),
                    "tokens_per_s": round(contender.tokens_per_s(precision)),
                }
                print(json.dumps(line), flush=True)
        ratios: dict[str, object] = {"vocabulary": vocabulary, "kernel": options.kernel}
        ratios |= compared(*contenders)
        print(json.dumps(ratios | {"goals": GOALS.get(vocabulary)}), flush=True)


if __name__ == "__main__":
    main()
