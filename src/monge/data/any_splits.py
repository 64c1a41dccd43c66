"""Every kind of data set that a task can be trained on."""

from __future__ import annotations

from monge.data.cross_modal import CrossModalSplits
from monge.data.examples import Splits
from monge.data.face_pairs import FaceSplits

AnySplits = Splits | CrossModalSplits | FaceSplits
"""All of them have ``classes``, ``source`` and ``definition``."""
