"""Which intervals cron can express."""

from __future__ import annotations

DAY = 24 * 60
"""Minutes."""


def cron_of(interval: int) -> str:
    """Return the cron schedule of an interval in seconds that :func:`is_even`."""
    minutes = interval // 60
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < DAY else "0 0 * * *"


def is_even(interval: int) -> bool:
    """Say whether cron can express an interval in seconds: minutes that divide an hour, or hours that divide a day."""
    minutes, seconds = divmod(interval, 60)
    if seconds or not minutes:
        return False
    return 60 % minutes == 0 if minutes < 60 else minutes % 60 == 0 and DAY % minutes == 0
