"""What all sections of a recipe share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Floats = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]


class Section(BaseModel):
    """Unknown keys refused, nothing converted behind one's back, no infinities, and never changed once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
