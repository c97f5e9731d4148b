"""Figures as text."""


def duration(seconds: float | None) -> str:
    """Seconds as h:mm:ss, rounded; `-:--:--` where unknown (None)."""
    if seconds is None:
        return "-:--:--"
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"
