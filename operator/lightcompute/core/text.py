"""Small texts for messages: times, spans, shortening. Messages carry absolute times, so that they don't change by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lightcompute.api.came_out import MAX_MESSAGE


def cut(text: str, limit: int = MAX_MESSAGE) -> str:
    """`text`, shortened to what a status may hold."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def clock(moment: datetime) -> str:
    """`moment` to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float | timedelta) -> str:
    """A length of time for people, as in `2 h 5 min`."""
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if total < 60:
        return f"{total:.0f} s"
    minutes, rest = divmod(round(total), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
