"""The model's shape: every family of decoder-only GPT as a configuration of the same parts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse
from runcontract.order.presets import PRESETS, PresetName


class Model(ContractModel):
    """A decoder-only GPT. A `preset` fills every key that is not given beside it."""

    preset: PresetName | None = Field(
        default=None, description="A ready configuration; keys given beside it win over it."
    )
    layers: int = Field(default=6, ge=1, le=256, description="Blocks of attention and MLP.")
    embedding_size: int = Field(
        default=384, ge=8, le=32_768, description="Width of the residual stream."
    )
    heads: int = Field(default=6, ge=1, le=256, description="Query heads of each attention.")
    kv_heads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Key and value heads (grouped-query attention); a divisor of `heads`. As many as `heads` when not given.",
    )
    head_size: int | None = Field(
        default=None,
        ge=2,
        le=1024,
        description="Width of a head. embeddingSize / heads when not given.",
    )
    context_length: int = Field(
        default=256,
        ge=2,
        le=131_072,
        description="Tokens that a training sequence holds and attention sees.",
    )
    mlp: Literal["GELU", "ReLUSquared", "SwiGLU", "GeGLU"] = Field(
        default="GELU",
        description="GELU as in GPT-NeoX, SwiGLU as in LLaMA, GeGLU (tanh form) as in Gemma, ReLUSquared as in speedruns.",
    )
    mlp_hidden_size: int | None = Field(
        default=None,
        ge=4,
        le=131_072,
        description="Width inside the MLP. 4 x embeddingSize when not given, 8/3 x for gated MLPs rounded up to a multiple of 64.",
    )
    norm: Literal["LayerNorm", "RMSNorm"] = Field(
        default="LayerNorm",
        description="Normalisation before attention, before the MLP and at the end.",
    )
    norm_epsilon: float = Field(
        default=1e-5, gt=0, le=1e-2, description="Added to the variance before the root."
    )
    norm_gain: Literal["None", "Multiply", "OnePlus"] = Field(
        default="Multiply",
        description="A learned gain for each channel: none, multiplied, or added to one first (as in Gemma).",
    )
    bias: bool = Field(
        default=False, description="Biases in linear layers and in LayerNorm, as in GPT-NeoX."
    )
    parallel_residual: bool = Field(
        default=False,
        description="Attention and MLP read the same input and are added together, as in GPT-NeoX.",
    )
    query_key_norm: bool = Field(
        default=False,
        description="RMSNorm without gain over each head's queries and keys, after rotation.",
    )
    rotary_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of each head that is rotated by position (partial rotary embeddings). 0 for none.",
    )
    rotary_base: float = Field(
        default=10_000.0, ge=1, le=1e9, description="Base of the rotary wavelengths."
    )
    tied_embeddings: bool = Field(
        default=True, description="The output layer is the token embedding, transposed."
    )
    embedding_scale: bool = Field(
        default=False,
        description="Multiply token embeddings by the root of embeddingSize, as in Gemma.",
    )
    logit_softcap: float = Field(
        default=0.0, ge=0, le=1000, description="c in logits = c x tanh(logits / c); 0 for none."
    )
    embedding_norm: bool = Field(
        default=False,
        description="RMSNorm without gain over the token embedding before the first block.",
    )
    embedding_skip: bool = Field(
        default=False,
        description="Each block reads a learned mix of the residual stream and the token embedding.",
    )
    bigram_table_size: int = Field(
        default=0,
        ge=0,
        le=4_194_304,
        description="Rows of a hashed table of learned embeddings for pairs of tokens, added to the input. 0 for none.",
    )
    value_embedding_layers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Last layers that add a token embedding of their own to attention's values.",
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="Share dropped, in training, of the embedding and of each branch's output.",
    )
    initialization: Literal["Normal", "ZeroOutput"] = Field(
        default="Normal",
        description="Normal: 0.02, branch outputs scaled down by depth. ZeroOutput: branch outputs and an untied output layer start at zero.",
    )
    attention_kernel: Literal["Plain", "Fused"] = Field(
        default="Plain",
        description="Plain: written out as matrix products. Fused: PyTorch's scaled_dot_product_attention, flash attention where the device has it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name = given.get("preset")
        return {**PRESETS.get(name, {}), **given} if isinstance(name, str) else given

    @model_validator(mode="after")
    def _shapes_fit(self) -> Model:
        refuse(
            FieldFault(
                field="heads",
                found=self.heads,
                expected=f"a divisor of embeddingSize {self.embedding_size}",
                action="Or give headSize.",
            )
            if self.head_size is None and self.embedding_size % self.heads
            else None,
            FieldFault(
                field="kvHeads", found=self.kv_heads, expected=f"a divisor of heads {self.heads}"
            )
            if self.kv_heads is not None and self.heads % self.kv_heads
            else None,
            FieldFault(
                field="rotaryFraction",
                found=self.rotary_fraction,
                expected=f"an even number of channels of a head of {self.head_width}",
            )
            if self.rotary_width % 2
            else None,
            FieldFault(
                field="valueEmbeddingLayers",
                found=self.value_embedding_layers,
                expected=f"at most layers {self.layers}",
            )
            if self.value_embedding_layers > self.layers
            else None,
        )
        return self

    @property
    def head_width(self) -> int:
        """Channels of one head."""
        return self.head_size or max(self.embedding_size // self.heads, 1)

    @property
    def key_value_heads(self) -> int:
        """Number of key and of value heads."""
        return self.kv_heads or self.heads

    @property
    def rotary_width(self) -> int:
        """Channels of one head that are rotated."""
        return int(self.head_width * self.rotary_fraction)

    @property
    def mlp_width(self) -> int:
        """Channels inside the MLP."""
        if self.mlp_hidden_size is not None:
            return self.mlp_hidden_size
        if self.mlp in {"SwiGLU", "GeGLU"}:
            return -(-self.embedding_size * 8 // (3 * 64)) * 64
        return 4 * self.embedding_size
