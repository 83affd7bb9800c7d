"""Makes torchrun work with Debian's PyTorch, which is built without libuv and asks for it in four places all the same.

For images with TORCH=system, together with USE_LIBUV=0, which the other places heed. It runs while an image is built.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

STORES = {
    "elastic/rendezvous/c10d_rendezvous_backend.py": "multi_tenant=True,",
    "elastic/rendezvous/dynamic_rendezvous.py": "multi_tenant=True,",
    "elastic/rendezvous/static_tcp_rendezvous.py": "multi_tenant=True,",
    "rendezvous.py": "is_master=False,",
}
"""Files that make a store, each with an argument that they make it with once."""


def patch(distributed: Path) -> None:
    """Has each of them ask for no libuv. Raises ValueError where a file is not as it was when this was written."""
    for name, argument in STORES.items():
        file = distributed / name
        text = file.read_text(encoding="utf-8")
        if text.count(argument) != 1:
            raise ValueError(
                f"{file}: found {argument!r} {text.count(argument)} times, expected once."
                " This PyTorch is another one: see whether it still needs this."
            )
        file.write_text(text.replace(argument, f"{argument} use_libuv=False,"), encoding="utf-8")


if __name__ == "__main__":
    found = find_spec("torch")
    if found is None or found.origin is None:
        sys.exit("error: there is no torch to patch")
    patch(Path(found.origin).parent / "distributed")
