"""The ``data:`` section of identities to learn and pairs to verify."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeInt

from monge.recipes.picture_data import PictureData

FaceName = Literal["emoji-identity", "heads", "casia-webface", "ms1mv2", "ms1mv3", "glint360k", "faces"]
FACES: tuple[FaceName, ...] = get_args(FaceName)
"""Names of data that are identities and pairs of pictures."""


class FaceData(PictureData):
    """Which identities: a data set that `monge.data.load_faces` knows.

    Attributes:
        image_size: Height and width of a picture.
        val_identities: Training identities set aside for the validation pairs (sets in record files); 0: none, as in
            the published protocols, and the pairs say nothing of strangers.
        pairs: A list of pairs to test with (``faces``); unset: pairs are drawn.
    """

    kind: ClassVar[str] = "faces"
    name: FaceName
    image_size: Annotated[int, Field(ge=8, le=1024)] = 112
    val_identities: NonNegativeInt = 0
    pairs: str | None = None
