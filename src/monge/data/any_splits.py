"""Every kind of data set that a task can be trained on."""

from __future__ import annotations

from monge.data.cross_modal import CrossModalSplits
from monge.data.examples import Splits

AnySplits = Splits | CrossModalSplits
"""All of them have ``classes``, ``source`` and ``definition``."""
