"""Numbers, times and ranges as people read them: short, of steady width, never wrong by more than they show."""

from __future__ import annotations

import datetime as dt
from typing import Final

_EPOCH: Final = dt.datetime(1970, 1, 1)  # every time in a case is UTC without a zone
#: What stands where there is no value.
NOTHING: Final = "\u2013"
_DAY: Final = 86_400_000_000


def from_us(us: int) -> dt.datetime:
    """Microseconds since 1970 as a UTC time without zone; the edges of the calendar where beyond them."""
    try:
        return _EPOCH + dt.timedelta(microseconds=us)
    except OverflowError:
        return dt.datetime.max if us > 0 else dt.datetime.min


def to_us(when: dt.datetime) -> int:
    """Microseconds since 1970 of a UTC time without zone."""
    return (when - _EPOCH) // dt.timedelta(microseconds=1)


def _scaled(value: float, step: float, units: tuple[str, ...]) -> tuple[str, str]:
    """Three digits at most and the unit: ("1.2", "k"), ("12.3", "M"), ("123", "G")."""
    index = 0
    while index < len(units) - 1 and round(value, 1 if value < 99.95 else 0) >= step:
        value /= step
        index += 1
    return (f"{value:.1f}" if value < 99.95 else f"{value:.0f}"), units[index]


def count(value: int | None) -> str:
    """How many: exact below ten thousand (`3,412`), then `12.3k`, `4.5M`; a dash for None."""
    if value is None:
        return NOTHING
    if abs(value) < 10_000:
        return f"{value:,}"
    number, unit = _scaled(abs(value) / 1000, 1000, ("k", "M", "G", "T", "P", "E"))
    return f"{'-' if value < 0 else ''}{number}{unit}"


def size(value: int | None) -> str:
    """Bytes in decimal units, digits under digits when set on the right: `812  B`, `1.2 MB`."""
    if value is None:
        return NOTHING
    if abs(value) < 1000:
        return f"{value}  B"
    number, unit = _scaled(abs(value) / 1000, 1000, ("kB", "MB", "GB", "TB", "PB", "EB"))
    return f"{'-' if value < 0 else ''}{number} {unit}"


def words_size(value: int | None) -> str:
    """Bytes inside a sentence: `812 B`, `1.2 MB`."""
    return size(value).replace("  ", " ")


def duration(seconds: float | None) -> str:
    """A length of time: `412 µs`, `3.2 ms`, `12.3 s`, `4m 12s`, `3h 07m`, `2d 04h`."""
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 59.95:
        if seconds == 0:
            return "0 s"
        if seconds < 0.0009995:
            return f"{seconds * 1e6:.0f} µs"
        number, unit = (seconds * 1e3, "ms") if seconds < 0.9995 else (seconds, "s")
        return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    days = whole // 86_400
    return f"{days}d {whole % 86_400 // 3600:02d}h" if days < 100 else f"{count(days)}d"


def micros(us: int | None) -> str:
    """A length of time given in microseconds."""
    return NOTHING if us is None else duration(us / 1e6)


def clock(when: dt.datetime | None, *, date: bool = False) -> str:
    """A time of day to the millisecond, with month and day where asked: `09:31:05.123`."""
    if when is None:
        return NOTHING
    text = f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}"
    return f"{when.month:02d}-{when.day:02d} {text}" if date else text


def clock_day(seconds: float) -> str:
    """The day of a time given in seconds since 1970, UTC: `2024-01-31`."""
    return from_us(round(seconds * 1e6)).date().isoformat()


def moment(when: dt.datetime | None) -> str:
    """A full UTC time to the microsecond: `2024-01-31 09:31:05.123456`."""
    return NOTHING if when is None else when.isoformat(sep=" ", timespec="microseconds")


def span_text(start: int, end: int) -> str:
    """A range of microseconds since 1970, naming the day once: `2024-01-31 09:31:05` to `09:45:12`.

    Ranges below ten seconds show milliseconds.
    """
    first, last = from_us(start), from_us(end)
    fine = end - start < 10_000_000

    def time(when: dt.datetime) -> str:
        return when.isoformat(timespec="milliseconds" if fine else "seconds").partition("T")[2]

    left = f"{first.date().isoformat()} {time(first)}"
    right = time(last) if first.date() == last.date() else f"{last.date().isoformat()} {time(last)}"
    return f"{left} \u2013 {right}"


def tick(us: int, width_us: int) -> str:
    """A short label on a time axis that is `width_us` wide."""
    when = from_us(us)
    if width_us >= 3 * _DAY:
        return f"{when.month:02d}-{when.day:02d}"
    if width_us >= 1_800_000_000:
        return f"{when:%H:%M}"
    if width_us >= 10_000_000:
        return f"{when:%H:%M:%S}"
    if width_us >= 10_000:
        return clock(when)
    return f"{when:%H:%M:%S}.{when.microsecond:06d}"


def share(part: int, whole: int) -> str:
    """A percentage that never rounds something down to nothing or up to everything."""
    if whole <= 0:
        return NOTHING
    percent = 100 * part / whole
    if part == 0:
        return "0%"
    if percent < 0.1:
        return "<0.1%"
    if part < whole and percent > 99.9:
        return ">99.9%"
    return f"{percent:.1f}%" if percent < 10 or percent > 90 else f"{percent:.0f}%"
