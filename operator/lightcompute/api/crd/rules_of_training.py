"""What must hold between fields of `spec.training` and `spec.checkpoints`, in CEL.

Each says again what a validator of its model in `runcontract.order` says. The shape of a model depends on its preset, whose
values are written into the rules: so the API server refuses a shape that the trainer would refuse.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from lightcompute.api.crd.rule import Rule, let, literal
from runcontract.base import document_key
from runcontract.order import Checkpoints, Data, Evaluation, Model, Schedule, Tokenizer, Training
from runcontract.order.presets import PRESETS


def in_force(field: str) -> str:
    """The value of a model's field: as given, else as the preset has it, else the default; 0 for none."""
    key, default = document_key(field), Model.model_fields[field].default
    given = f"has(self.{key}) ? self.{key}"
    values = {name: preset.get(key, default) for name, preset in PRESETS.items()}
    if set(values.values()) == {default}:
        return f"({given} : {_number(default)})"
    table = ", ".join(f"{literal(name)}: {_number(value)}" for name, value in values.items())
    return f"({given} : has(self.preset) ? {{{table}}}[self.preset] : {_number(default)})"


def _number(value: Any) -> str:
    return "0" if value is None else repr(value)


def _one_interval() -> Rule:
    return Rule(
        holds="!(has(self.everySteps) && has(self.everyEpochs))",
        message="keep one of everySteps and everyEpochs",
        field="everyEpochs",
    )


_HEAD_WIDTH = "(headSize > 0 ? headSize : embeddingSize / heads > 0 ? embeddingSize / heads : 1)"

RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    Checkpoints: (
        _one_interval(),
        Rule(
            holds="!(has(self.everySeconds) && (has(self.everySteps) || has(self.everyEpochs)))",
            message="keep everySeconds alone: it goes with neither everySteps nor everyEpochs",
            field="everySeconds",
        ),
    ),
    Evaluation: (_one_interval(),),
    Data: (
        Rule(
            holds="has(self.dataset) != (has(self.files) && self.files.size() > 0)",
            message="give exactly one of dataset and files",
            field="dataset",
        ),
    ),
    Tokenizer: (
        Rule(
            holds="!(self.type in ['Byte', 'Character'] && has(self.vocabSize))",
            message="leave vocabSize out: a Byte or Character tokenizer has the size it has",
            field="vocabSize",
        ),
        Rule(
            holds="!(self.type in ['Byte', 'Character'] && has(self.path))",
            message="leave path out with Byte and Character: only SentencePiece models are read",
            field="path",
        ),
        Rule(
            holds="!(has(self.path) && has(self.vocabSize))",
            message="leave vocabSize out beside path: the file has its own size",
            field="vocabSize",
        ),
        Rule(
            holds="self.type in ['Byte', 'Character'] || !self.byteFallback"
            " || !has(self.vocabSize) || self.vocabSize >= 300",
            message="vocabSize is at least 300 with byteFallback, which spends 256 pieces on bytes",
            field="vocabSize",
        ),
    ),
    Model: (
        Rule(
            holds=let(
                "headSize > 0 || embeddingSize % heads == 0",
                headSize=in_force("head_size"),
                embeddingSize=in_force("embedding_size"),
                heads=in_force("heads"),
            ),
            message="heads divides embeddingSize (the preset's where it is not given), or headSize is given",
            field="heads",
        ),
        Rule(
            holds=let(
                "kvHeads == 0 || heads % kvHeads == 0",
                kvHeads=in_force("kv_heads"),
                heads=in_force("heads"),
            ),
            message="kvHeads divides heads (the preset's where one of them is not given)",
            field="kvHeads",
        ),
        Rule(
            holds=let(
                f"int(double({_HEAD_WIDTH}) * rotaryFraction) % 2 == 0",
                headSize=in_force("head_size"),
                embeddingSize=in_force("embedding_size"),
                heads=in_force("heads"),
                rotaryFraction=in_force("rotary_fraction"),
            ),
            message="rotaryFraction of a head (headSize, or embeddingSize / heads) is an even number of channels",
            field="rotaryFraction",
        ),
        Rule(
            holds=f"{in_force('value_embedding_layers')} <= {in_force('layers')}",
            message="valueEmbeddingLayers is at most layers (the preset's where one of them is not given)",
            field="valueEmbeddingLayers",
        ),
    ),
    Schedule: (
        Rule(
            # The server tries rules on the default `{}` itself too, before that is filled.
            holds="!has(self.decayFraction) || self.decayFraction == 0.2"
            " || self.type == 'WarmupStableDecay'",
            message="leave decayFraction out: only type WarmupStableDecay has it",
            field="decayFraction",
        ),
    ),
    Training: (
        Rule(
            holds="has(self.maxSteps) != has(self.maxEpochs)",
            message="give exactly one of maxSteps and maxEpochs",
            field="maxSteps",
        ),
        Rule(
            holds="!has(self.maxSteps) || self.schedule.warmupSteps <= self.maxSteps",
            message="schedule.warmupSteps is at most maxSteps",
            field="schedule.warmupSteps",
        ),
        Rule(
            holds="!has(self.target) || self.target.metric != 'TestLoss' || self.data.testFraction > 0.0",
            message="take ValidationLoss, or give data.testFraction: without a test part there is no TestLoss",
            field="target.metric",
        ),
        Rule(
            holds="self.data.validationFraction + self.data.testFraction <= 0.5",
            message="validationFraction and testFraction are at most half of the text together",
            field="data.validationFraction",
        ),
        Rule(
            holds="self.tokenizer.type == 'BPE' || (self.subwordDropout == 0.0"
            " && (!has(self.subwordDropoutFinal) || self.subwordDropoutFinal == 0.0))",
            message="leave it 0, or take a BPE tokenizer: only BPE has merges to leave out",
            field="subwordDropout",
        ),
    ),
}
