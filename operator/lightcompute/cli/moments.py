"""Moments and time zones as options take them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click


class _Moment(click.ParamType[datetime, str]):
    """`2026-11-25`, `2026-11-25T18:00`, or with `Z` or an offset; without one by the time zone that the command goes by."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            return value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date or time such as 2026-11-25 or 2026-11-25T18:00Z", param, ctx)  # fmt: skip


class _TimeZone(click.ParamType[ZoneInfo, str]):
    """A name of the time zone database."""

    name = "zone"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        try:
            return value if isinstance(value, ZoneInfo) else ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value!r} is no time zone such as UTC or Europe/Berlin", param, ctx)


MOMENT = _Moment()
TIME_ZONE = _TimeZone()
