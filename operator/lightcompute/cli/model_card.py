"""The card of a trained model: what it is, of which text, how good, what it cost, how to use it and how to train it again. Pure text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lightcompute.api import TrainingRun
from lightcompute.cli import text
from lightcompute.core.ledger import total_cost
from runcontract.audit import Audit
from runcontract.losses import Loss
from runcontract.order import Data
from runcontract.results import Results

_FENCE = "~~~"


def model_card(run: TrainingRun, results: Results, audit: Audit) -> str:
    """The card as Markdown."""
    name = run.metadata.name
    parts = (
        f"# {name}",
        _introduction(run, results),
        "## Results",
        _table(("", "nats/token", "nats/character", "bits/byte"), _losses(results)),
        _target(results),
        "## Training",
        _table(("", ""), _training(run, results)),
        "## Data",
        _table(("", ""), _data(run, audit, results)),
        "## Cost",
        _cost(run),
        "## What it writes",
        _sample(results),
        "## Use it",
        _code('lightgpt generate RUN_FOLDER --prompt "ROMEO:"\nlightgpt evaluate RUN_FOLDER'),
        "## Train it again",
        "`run.yaml` is the order and the status, `audit.json` all that the numbers depend on, `metrics.csv` a row for each step.\n\n"
        + _code(f"lightcompute run run.yaml --name {name}-again\nlightcompute reproduce {name}"),
        "## Where it came from",
        _table(("", ""), _origin(audit)),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(run: TrainingRun, results: Results) -> str:
    best = max(results.checkpoints, key=lambda each: each.step, default=None)
    weights = (
        f" Its last checkpoint is `{best.name}`, whose manifest has the SHA-256 `{best.digest}`."
        if best
        else ""
    )
    return (
        f"A language model of {text.count(results.parameters)} parameters, trained for {text.count(results.steps)} steps "
        f"as run `{run.metadata.name}` with the UID `{run.metadata.uid}`.{weights}"
    )


def _losses(results: Results) -> Iterator[tuple[str, ...]]:
    rows: tuple[tuple[str, Loss | None], ...] = (
        ("validation, final weights", results.final_validation),
        ("validation, lowest" + (f" (step {results.best_step})" if results.best_step else ""), results.best_validation),
        ("test", results.test),
    )  # fmt: skip
    for what, loss in rows:
        if loss is not None:
            yield (
                what,
                f"{loss.nats_per_token:.4f}",
                f"{loss.nats_per_character:.4f}",
                f"{loss.bits_per_byte:.4f}",
            )


def _target(results: Results) -> str:
    verdict = results.target
    if verdict is None:
        return "There was no target."
    unit = text.UNITS[verdict.unit]
    reached = "nothing was scored" if verdict.reached is None else f"{verdict.reached:.4f} {unit}"
    word = "met" if verdict.met else "missed"
    return f"Target {word}: {verdict.metric} at most {verdict.at_most:g} {unit}, reached {reached}."


def _training(run: TrainingRun, results: Results) -> Iterator[tuple[str, ...]]:
    training = run.spec.training
    assert training is not None
    yield "steps", f"{text.count(results.steps)} of {text.count(results.max_steps)}"
    yield "tokens read", text.count(results.tokens)
    yield "passes over the training part", f"{results.epochs:.2f}"
    yield "time in steps, last attempt", text.duration(results.training_seconds)
    yield "tokens a second, last attempt", text.count(results.tokens_per_second)
    yield "attempts", str(run.status.restarts + 1)
    yield "ended", results.message
    for key, value in training.model.document().items():
        yield f"model.{key}", str(value)


def _data(run: TrainingRun, audit: Audit, results: Results) -> Iterator[tuple[str, ...]]:
    training = run.spec.training
    assert training is not None
    yield "text", _source(training.data)
    yield "SHA-256 of the text", audit.data_sha256
    yield "training tokens", text.count(audit.training_tokens)
    yield "validation tokens", text.count(audit.validation_tokens)
    if (facts := results.tokenizer) is not None:
        lossless = "" if facts.lossless else ", which does not give every character back"
        yield "tokenizer", f"{facts.type}, {text.count(facts.vocab_size)} entries{lossless}"
        yield "SHA-256 of the tokenizer", facts.sha256


def _source(data: Data) -> str:
    return f"data set {data.dataset}" if data.dataset else ", ".join(map(str, data.files))


def _cost(run: TrainingRun) -> str:
    status = run.status
    end = status.completion_time or status.cost.last_updated_time
    if end is None or not total_cost(status, end):
        return "It has no price: the machine that it ran on has none."
    places = {str(attempt.place) for attempt in status.attempts}
    limit = status.cost.limit_usd
    cap = "" if limit is None else f" under a cap of {text.usd(limit)}"
    return f"{text.usd(total_cost(status, end))}{cap}, on {', '.join(sorted(places))}."


def _sample(results: Results) -> str:
    if not results.sample:
        return ""
    # Text of a model may hold anything: no line of it may end the block that it stands in.
    lines = (line.replace(_FENCE, "~ ~ ~") for line in results.sample[:1200].splitlines())
    return _block("\n".join(lines))


def _origin(audit: Audit) -> Iterator[tuple[str, ...]]:
    yield "source", audit.git_commit or ""
    yield "image", audit.image_digest or ""
    yield "Python", audit.python.split()[0]
    yield "PyTorch", audit.packages.get("torch", "")
    devices = ", ".join(audit.hardware.devices) or f"{audit.hardware.threads} threads"
    yield "machine", f"{audit.hardware.cpu}, {devices}"
    yield "seeds", ", ".join(f"{name} {value}" for name, value in audit.seeds.items())
    yield "configuration", audit.configuration_hash


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *(row for row in rows if row[-1])]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _code(commands: str) -> str:
    return _block(commands)


def _block(content: str) -> str:
    return f"{_FENCE}text\n{content}\n{_FENCE}"
