"""Keys and values of tokens already read, so that the next token costs one position and not all of them.

The cache belongs to one batch of sequences of equal length. It knows nothing of sampling, and it does not slide: past its
capacity it refuses, and the caller starts again with the tokens that it wants to keep in sight.
"""

from __future__ import annotations

from torch import Tensor


class LayerCache:
    """One layer's keys and values, [B, K, capacity, D] each, allocated when the first ones arrive."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def extended(self, keys: Tensor, values: Tensor, *, start: int) -> tuple[Tensor, Tensor]:
        """Writes keys and values [B, K, T, D] at `start` and returns all up to there, [B, K, S, D] each."""
        if self._keys is None or self._values is None:
            batch, heads, _, width = keys.shape
            self._keys = keys.new_empty(batch, heads, self.capacity, width)
            self._values = values.new_empty(batch, heads, self.capacity, width)
        end = start + keys.shape[2]
        self._keys[:, :, start:end] = keys
        self._values[:, :, start:end] = values
        return self._keys[:, :, :end], self._values[:, :, :end]


class KeyValueCache:
    """The cache of every layer, how many tokens it holds, and the last of them (a bigram needs it)."""

    def __init__(self, *, layers: int, batch_size: int, max_tokens: int) -> None:
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self.length = 0
        self.last_token_B1: Tensor | None = None
        self.layers = tuple(LayerCache(max_tokens) for _ in range(layers))

    def check_room(self, tokens_BT: Tensor) -> None:
        """Refuses tokens that don't fit.

        Raises:
            ValueError: another batch size than the cache's, or more tokens than it has room for.
        """
        batch, tokens = tokens_BT.shape
        if batch != self.batch_size:
            raise ValueError(
                f"the cache is for {self.batch_size} sequences; found {batch}. Make a new cache for another batch."
            )
        if self.length + tokens > self.max_tokens:
            raise ValueError(
                f"the cache has room for {self.max_tokens} tokens and holds {self.length}; found {tokens} more. "
                "Make a larger one, or start a new one with the last tokens."
            )

    def advance(self, tokens_BT: Tensor) -> None:
        """Counts tokens that every layer has taken in."""
        self.length += tokens_BT.shape[1]
        self.last_token_B1 = tokens_BT[:, -1:]

    @property
    def bytes(self) -> int:
        """Memory that the cache holds."""
        tensors = (t for layer in self.layers for t in (layer._keys, layer._values))  # noqa: SLF001
        return sum(t.numel() * t.element_size() for t in tensors if t is not None)
