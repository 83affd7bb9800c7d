"""`python -m lightcompute.api.crd [FOLDER]` writes every definition to the folder, `crds` when none is named."""

from __future__ import annotations

import sys
from pathlib import Path

from lightcompute.api.crd import RESOURCES
from lightcompute.api.crd.file_text import file_text

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "crds")
    for resource in RESOURCES:
        (folder / f"{resource.plural}.yaml").write_text(file_text(resource), encoding="utf-8")
