"""Figures as text."""


def duration(seconds: float | None) -> str:
    """Seconds as h:mm:ss, rounded; `-:--:--` where unknown (None)."""
    if seconds is None:
        return "-:--:--"
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"


def size_text(size: float) -> str:
    """Bytes with a unit: `734 kB`, `8.6 MB`."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.1f} {units[0]}" if size < 9.95 and units[0] != "bytes" else f"{size:.0f} {units[0]}"
