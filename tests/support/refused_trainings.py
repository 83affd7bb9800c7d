"""Documents whose `spec.training` breaks one rule each."""

from __future__ import annotations

from collections.abc import Iterator

from support.cases import ABSENT, Case, Document
from support.run_documents import run_case


def _training(name: str, changes: Document, where: str, says: str) -> Case:
    below = {f"spec.training.{path}": value for path, value in changes.items()}
    return run_case(name=name, changes=below, where=f"spec.training.{where}", says=says)


def refused_trainings() -> Iterator[Case]:
    one_source = "give exactly one of dataset and files"
    both = {"data": {"dataset": "tinyshakespeare", "files": ["a.txt"]}}
    yield _training("two texts", both, "data.dataset", one_source)
    yield _training("no text", {"data": {}}, "data.dataset", one_source)
    yield _training("no files", {"data": {"files": []}}, "data.dataset", one_source)
    length = "give exactly one of maxSteps and maxEpochs"
    yield _training("two lengths", {"maxEpochs": 3}, "maxSteps", length)
    yield _training("no length", {"maxSteps": ABSENT}, "maxSteps", length)
    yield _training(
        "a warm-up longer than the run",
        {"schedule": {"warmupSteps": 101}},
        "schedule.warmupSteps",
        "schedule.warmupSteps is at most maxSteps",
    )
    yield _training(
        "a test without a test part",
        {
            "data.testFraction": 0,
            "target": {"metric": "TestLoss", "unit": "BitsPerByte", "atMost": 1},
        },
        "target.metric",
        "without a test part there is no TestLoss",
    )
    yield _training(
        "parts larger than half",
        {"data.validationFraction": 0.4, "data.testFraction": 0.2},
        "data.validationFraction",
        "at most half of the text together",
    )
    for field in ("subwordDropout", "subwordDropoutFinal"):
        yield _training(
            f"{field} of bytes",
            {"tokenizer.type": "Byte", field: 0.1},
            "subwordDropout",
            "only BPE has merges to leave out",
        )
    yield _training(
        "a fall that Cosine does not have",
        {"schedule": {"decayFraction": 0.3}},
        "schedule.decayFraction",
        "only type WarmupStableDecay has it",
    )
    yield _training(
        "two intervals of evaluation",
        {"evaluation": {"everySteps": 1, "everyEpochs": 1}},
        "evaluation.everyEpochs",
        "keep one of everySteps and everyEpochs",
    )
    yield from _of_tokenizer()
    yield from _of_model()


def _of_tokenizer() -> Iterator[Case]:
    for tokenizer, field, says in (
        ({"type": "Byte", "vocabSize": 256}, "vocabSize", "has the size it has"),
        ({"type": "Character", "vocabSize": 256}, "vocabSize", "has the size it has"),
        ({"type": "Byte", "path": "a.model"}, "path", "only SentencePiece models are read"),
        ({"path": "a.model", "vocabSize": 512}, "vocabSize", "the file has its own size"),
        ({"byteFallback": True, "vocabSize": 299}, "vocabSize", "at least 300 with byteFallback"),
    ):
        yield _training(
            f"tokenizer {tokenizer}", {"tokenizer": tokenizer}, f"tokenizer.{field}", says
        )


def _of_model() -> Iterator[Case]:
    heads, layers = "heads divides embeddingSize", "valueEmbeddingLayers is at most layers"
    for model, field, says in (
        ({"heads": 5}, "heads", heads),
        ({"embeddingSize": 100}, "heads", heads),
        ({"preset": "gpt-124m", "heads": 10}, "heads", heads),
        ({"preset": "gpt-124m", "embeddingSize": 100}, "heads", heads),
        ({"heads": 6, "kvHeads": 4}, "kvHeads", "kvHeads divides heads"),
        ({"preset": "llama-1b", "kvHeads": 3}, "kvHeads", "kvHeads divides heads"),
        ({"preset": "llama-1b", "heads": 2}, "kvHeads", "kvHeads divides heads"),
        ({"headSize": 5}, "rotaryFraction", "even number of channels"),
        ({"rotaryFraction": 0.27}, "rotaryFraction", "even number of channels"),
        ({"preset": "gemma-2b", "rotaryFraction": 0.004}, "rotaryFraction", "even number"),
        ({"valueEmbeddingLayers": 7}, "valueEmbeddingLayers", layers),
        ({"preset": "speedrun-tables", "layers": 1}, "valueEmbeddingLayers", layers),
        ({"preset": "gpt-2t"}, "preset", 'Unsupported value: "gpt-2t"'),
    ):
        yield _training(f"model {model}", {"model": model}, f"model.{field}", says)
