"""Whole training steps of our trainer and of a plain PyTorch loop, each in a process of its own as a person starts it.

    python benchmarks/training_step.py [--steps 20] [--vocabularies 65 16000]
    python benchmarks/training_step.py --peer-model ~/nanoGPT/model.py

The shapes are those of model_throughput.py (6 layers, 6 heads, 384 wide, 8 sequences of 256 tokens, output layer tied), which
compares the models alone under one optimizer. Here each has its own: ours is a step of `lightgpt train` (loss, slopes, clipping, AdamW, with
all that the trainer sets in its process before); the peer is what the loop of nanoGPT's train.py does in a step (loss, slopes,
clip_grad_norm_, the AdamW that its model configures for a CPU), or the same around the plain model.

The processes take turns at a step. A step counts only when everything else on the machine took less than --others of its
processors meanwhile, so that what others do is in no ratio; how many did not count is told. Goals, against the peer in FP32: ours in FP32
at least as fast; ours in BF16 1.7 times as fast with 16,000 tokens and twice as fast with 65, on a processor that multiplies bfloat16.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from machine import machine
from model_throughput import CONTEXT, GOALS, HEADS, LAYERS, SEQUENCES, WIDTH, peer
from torch import Tensor

from lightgpt.model.gpt import GPT
from lightgpt.train.determinism import make_deterministic
from lightgpt.train.heap import keep_freed_memory
from lightgpt.train.step import Stepper
from lightgpt.train.world import processors, read_world, use_threads
from runcontract.document import parse_model
from runcontract.order import Training

WARM_UP = 3
"""Steps of each before those that count."""
MOST_TURNS = 10
"""Turns for a step that counts; then it is given up."""
CONTENDERS = (("peer", "FP32"), ("ours", "FP32"), ("ours", "BF16"))

Step = Callable[[Tensor, Tensor], object]


def our_step(vocabulary: int, precision: str) -> Step:
    """A step of the trainer, whose process is set up as `lightgpt train` does it."""
    order = {
        "data": {"dataset": "tinyshakespeare"},
        "model": {
            "layers": LAYERS,
            "heads": HEADS,
            "embeddingSize": WIDTH,
            "contextLength": CONTEXT,
            "tiedEmbeddings": True,
        },
        "precision": precision,
        "maxSteps": 1000,
    }
    training = parse_model(Training, order)
    use_threads(os.environ, local_size=1)
    keep_freed_memory(os.environ)
    make_deterministic(compiles=training.compile)
    model = GPT(training.model, vocabulary)
    model.initialize(training.seed)
    batches: list[tuple[Tensor, Tensor]] = []
    stepper = Stepper(
        model, training, world=read_world({}), batch=lambda _: batches.pop(), max_steps=1000
    )
    taken = 0

    def step(inputs_BT: Tensor, targets_BT: Tensor) -> None:
        nonlocal taken
        batches.append((inputs_BT, targets_BT))
        stepper.take(taken).loss.item()
        taken += 1

    return step


def peer_step(vocabulary: int, path: Path | None) -> Step:
    """A step as in the loop of nanoGPT's train.py, in FP32, with the optimizer that its model makes for a CPU."""
    torch.set_num_threads(processors())
    torch.manual_seed(1337)
    contender = peer(vocabulary, path)
    model = contender.model.train()
    optimizer: torch.optim.Optimizer
    if path is None:
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1
        )
    else:
        with contextlib.redirect_stdout(sys.stderr):  # it tells what it makes
            optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")  # type: ignore[operator]

    def step(inputs_BT: Tensor, targets_BT: Tensor) -> None:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3
        loss = contender.loss(inputs_BT, targets_BT)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return step


def work(name: str, precision: str, vocabulary: int, path: Path | None) -> None:
    """In a process of its own: takes a step for each line that it reads, and answers with what it took."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    step = our_step(vocabulary, precision) if name == "ours" else peer_step(vocabulary, path)
    generator = torch.Generator().manual_seed(1337)
    for _ in sys.stdin:
        tokens_BT = torch.randint(vocabulary, (SEQUENCES, CONTEXT + 1), generator=generator)
        inputs_BT, targets_BT = tokens_BT[:, :-1].contiguous(), tokens_BT[:, 1:].contiguous()
        before = resource.getrusage(resource.RUSAGE_SELF)
        began_s = time.perf_counter()
        step(inputs_BT, targets_BT)
        wall_s = time.perf_counter() - began_s
        after = resource.getrusage(resource.RUSAGE_SELF)
        answer = {
            "wall_s": wall_s,
            "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "page_faults": after.ru_minflt - before.ru_minflt,
            "peak_memory_mib": after.ru_maxrss >> 10,
        }
        answers.write(json.dumps(answer) + "\n")


@dataclass(kw_only=True)
class Worker:
    """A process that trains, and its steps that count."""

    name: str
    precision: str
    process: subprocess.Popen[str]
    counted: list[dict[str, float]] = field(default_factory=list)
    disturbed: int = 0

    def step(self) -> tuple[dict[str, float], float]:
        """What a step took, and the share of the machine's processors that everything else took meanwhile."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        before_s = busy_seconds()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} in {self.precision} ended with {self.process.wait()}")
        took: dict[str, float] = json.loads(line)
        others_s = busy_seconds() - before_s - took["cpu_s"]
        return took, others_s / took["wall_s"] / (os.cpu_count() or 1)

    def median(self, what: str) -> float:
        """Of the steps that count."""
        return statistics.median(each[what] for each in self.counted)


def busy_seconds() -> float:
    """Processor time of all processes of this machine, and what its host took away."""
    numbers = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, numbers)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def started(name: str, precision: str, vocabulary: int, path: Path | None) -> Worker:
    """A worker, in a process whose only task it is."""
    command = [sys.executable, __file__, "--work", name, precision, str(vocabulary)]
    if path is not None:
        command += ["--peer-model", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return Worker(name=name, precision=precision, process=process)


def measure(workers: list[Worker], steps: int, others: float) -> None:
    """Has them take turns until each has `steps` that count."""
    for worker in workers:
        for _ in range(WARM_UP):
            worker.step()
    for turn in range(steps * MOST_TURNS):
        for worker in workers[turn % len(workers) :] + workers[: turn % len(workers)]:
            took, share = worker.step()
            if share < others:
                worker.counted.append(took)
            else:
                worker.disturbed += 1
        if min(len(worker.counted) for worker in workers) >= steps:
            return
    sys.exit("the machine is too busy: hardly a step was undisturbed")


def tell(vocabulary: int, workers: list[Worker]) -> None:
    """One line for each, and one of ratios."""
    for worker in workers:
        line = {
            "vocabulary": vocabulary,
            "who": worker.name,
            "precision": worker.precision,
            "median_step_ms": round(worker.median("wall_s") * 1e3, 1),
            "tokens_per_s": round(SEQUENCES * CONTEXT / worker.median("wall_s")),
            "page_faults_a_step": round(worker.median("page_faults")),
            "peak_memory_mib": round(worker.median("peak_memory_mib")),
            "steps": len(worker.counted),
            "disturbed": worker.disturbed,
        }
        print(json.dumps(line), flush=True)
    its, *mine = workers
    ratios = {
        f"ours_{worker.precision.lower()}_over_peer_fp32": round(
            its.median("wall_s") / worker.median("wall_s"), 3
        )
        for worker in mine
    }
    print(json.dumps({"vocabulary": vocabulary, **ratios, "goals": GOALS.get(vocabulary)}))


def main() -> None:
    """Starts the processes, has them take turns, tells and ends them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="steps of each that count")
    parser.add_argument("--vocabularies", nargs="+", type=int, default=list(GOALS))
    parser.add_argument("--others", type=float, default=0.05, help="share of the processors")
    parser.add_argument("--peer-model", type=Path, help="model.py of a nanoGPT checkout")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, precision, vocabulary = options.work
        work(name, precision, int(vocabulary), options.peer_model)
        return
    print(f"# {machine()}", flush=True)
    for vocabulary in options.vocabularies:
        workers = [started(*each, vocabulary, options.peer_model) for each in CONTENDERS]
        try:
            measure(workers, options.steps, options.others)
            tell(vocabulary, workers)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.wait()


if __name__ == "__main__":
    main()
