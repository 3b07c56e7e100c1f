"""How many examples Hypothesis makes: SOAK=1 asks for the long form, SOAK=10 for ten times that."""

import os

from hypothesis import HealthCheck, settings

SOAK = float(os.environ.get("SOAK", "0"))


def examples(short: int, long: int, steps: int = 50) -> settings:
    """The short form always tries the same examples; the long one always others."""
    return settings(
        max_examples=max(short, int(long * SOAK)),
        derandomize=not SOAK,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
