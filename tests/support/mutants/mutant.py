"""A mutant: one small fault put into one place of the code, to see whether a test notices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`old` in `file` becomes `new`; `tests` are the files that ought to notice, the likeliest first."""

    name: str
    file: str
    """Relative to the checkout."""
    old: str
    """Occurs exactly once, so that it is certain what was changed."""
    new: str
    breaks: str
    """What goes wrong with it, as a sentence."""
    tests: tuple[str, ...]

    def count(self, tree: Path) -> int:
        """How often `old` occurs in the tree."""
        return (tree / self.file).read_text(encoding="utf-8").count(self.old)

    def applied(self, tree: Path) -> str:
        """The text of the file with the fault in it. Raises ValueError unless `old` occurs exactly once."""
        found = self.count(tree)
        if found != 1:
            raise ValueError(f"{self.name}: its text occurs {found} times in {self.file}, not once")
        return (tree / self.file).read_text(encoding="utf-8").replace(self.old, self.new)
