"""How long to wait before another try."""

from __future__ import annotations

import random

#: Seconds: the first ceiling of a wait, which doubles with each failure, and the last one.
BASE = 0.2
CEILING = 5.0


def backoff(failures: int, retry_after: float | None = None) -> float:
    """Seconds to wait after so many failures (1 or more).

    Exponential with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), and
    never less than what the server asked for.
    """
    ceiling = min(CEILING, BASE * 2.0 ** min(failures - 1, 30))
    return (retry_after or 0.0) + random.uniform(0.0, ceiling)
