"""Random numbers as a function of where they are needed, so that nothing has to be remembered to resume a run."""

from __future__ import annotations

import numpy as np

# First key of a seed: what it is for.
MODEL, BATCH, AUGMENT, REFERENCE = range(4)


def mixed_seed(*keys: int) -> int:
    """A 63-bit seed that depends on every key and on their order.

    Args:
        keys: Non-negative, e.g. purpose, seed of the run, epoch, batch, rank.

    Example:
        >>> mixed_seed(1, 2) == mixed_seed(1, 2), mixed_seed(1, 2) == mixed_seed(2, 1)
        (True, False)
    """
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
