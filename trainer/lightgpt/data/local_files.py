"""Text from files that an order names: paths and globs relative to the folder of the YAML file."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from runcontract.faults import DataFault, Fault

_BYTE_ORDER_MARK = "\ufeff"


def read_files(patterns: Sequence[str], base_folder: Path) -> str:
    """The text of all files, in the order given and a glob's files sorted by name.

    A newline is put between two files where the first does not end with one. Raises `DataFault` with every fault found.
    """
    faults: list[Fault] = []
    texts: list[str] = []
    seen: set[Path] = set()
    for number, pattern in enumerate(patterns):
        field = f"training.data.files[{number}]"
        try:
            for path in _matches(pattern, base_folder, field):
                if path.resolve() in seen:
                    raise _fault(field, f"{path} for the second time", "each file once", _TWICE)
                seen.add(path.resolve())
                texts.append(_read(path, field))
        except DataFault as fault:
            faults += fault.faults
    if faults:
        raise DataFault(*faults)
    return "".join(
        text if text.endswith("\n") or last else text + "\n"
        for text, last in zip(texts, [False] * (len(texts) - 1) + [True], strict=True)
    )


_TWICE = "Text that stands twice would be learned and scored at once."


def _matches(pattern: str, base_folder: Path, field: str) -> list[Path]:
    literal = base_folder / pattern
    if literal.exists() or not glob.has_magic(pattern):
        return [literal]
    # Not Path.glob: it refuses absolute patterns.
    found = sorted(glob.glob(pattern, root_dir=base_folder, recursive=True))  # noqa: PTH207
    files = [base_folder / name for name in found if (base_folder / name).is_file()]
    if not files:
        what = "only folders" if found else "no file"
        raise _fault(field, f"{what} for {pattern!r} in {base_folder}", "at least one file")
    return files


def _read(path: Path, field: str) -> str:
    where = f"{field} {path}"
    if path.is_dir():
        raise _fault(
            where, "a folder", "a text file", f"Write {path.name}/*.txt to take the files in it."
        )
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise _fault(
            where, f"byte {error.start} is not UTF-8", "a text file in UTF-8", "Convert it first."
        ) from error
    except OSError as error:
        raise _fault(where, error.strerror or str(error), "a file that can be read") from error
    # A sign of the encoding, not a character of the text.
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if not text.strip():
        raise _fault(where, "no text" if text else "an empty file", "a file with text")
    return text


def _fault(where: str, found: str, expected: str, action: str = "") -> DataFault:
    return DataFault(Fault(where=where, found=found, expected=expected, action=action))
