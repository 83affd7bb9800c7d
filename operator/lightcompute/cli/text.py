"""Numbers as people read them, each with its unit. Pure text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from lightcompute.api.money import MICRO_PER_USD, MicroUSD, show_usd
from runcontract.losses import Loss, LossUnit

UNITS: dict[LossUnit, str] = {
    "NatsPerToken": "nats/token",
    "NatsPerCharacter": "nats/character",
    "BitsPerByte": "bits/byte",
}


def duration(seconds: float) -> str:
    """`3 h 05 min`, `4 min 10 s`, `12 s`; rounded up, so that something that takes time never takes 0 s."""
    whole = math.ceil(max(seconds, 0.0))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


def size(bytes_: float) -> str:
    """`1.2 MB`: decimal units."""
    value = float(bytes_)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def count(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def losses(loss: Loss) -> str:
    """A loss in all its units."""
    return ", ".join(f"{loss.in_unit(unit):.4f} {name}" for unit, name in UNITS.items())


def loss_in(loss: Loss, unit: LossUnit) -> str:
    """A loss in one unit."""
    return f"{loss.in_unit(unit):.4f} {UNITS[unit]}"


def usd(amount: MicroUSD) -> str:
    """`$0.0410`, `$2.50`: always four decimals below a dollar, so that a growing sum does not jump about."""
    shown = show_usd(amount)
    return shown.ljust(len("$0.0000"), "0") if 0 < amount < MICRO_PER_USD else shown


def clock(time: datetime) -> str:
    """A moment in the local time zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def table(rows: Iterable[tuple[str, str]], indent: str = "  ") -> str:
    """Lines of `name  value`, the values below each other; rows without a value are left out."""
    shown = [(name, value) for name, value in rows if value]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(
        f"{indent}{name.ljust(width)}  " + value.replace("\n", f"\n{indent}{' ' * width}  ")
        for name, value in shown
    )


def columns(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table with a header."""
    lines = [header, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
