"""Sets how many examples Hypothesis makes: SOAK=1 is the long form, SOAK=10 makes ten times as many.

The long form also takes the time to shrink a failing example.
"""

import os

from hypothesis import HealthCheck, Phase, settings

SOAK = float(os.environ.get("SOAK", "0"))


def examples(short: int, long: int, steps: int = 50) -> settings:
    """Return settings: the short form always tries the same examples; the long one always tries others."""
    return settings(
        max_examples=max(short, int(long * SOAK)),
        derandomize=not SOAK,
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SOAK else [])],
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
