"""RUDDER (Akula, Dabral, Jyothi, Ramakrishnan; ICMI 2021): clips with captions in six languages of India.

The files that its makers published were not to be had, so their form is not known here. What is read instead is the
``captions.json`` of `monge.data.formats.own_captions`, an object for each clip with its part and its captions by
language: ``{"id": "clip7", "split": "test", "captions": {"hi": ["..."], "mr": ["..."]}}``. The languages are Hindi
(``hi``), Kannada (``kn``), Malayalam (``ml``), Marathi (``mr``), Tamil (``ta``) and Telugu (``te``); a clip need not
have all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monge.data.formats.captions import CaptionedClips
from monge.data.formats.flaws import Flaws
from monge.data.formats.own_captions import read_own_captions

LANGUAGES = ("hi", "kn", "ml", "mr", "ta", "te")


def read_rudder(folder: str | Path, flaws: Flaws, *, languages: Sequence[str] | None = None) -> CaptionedClips:
    """Reads captions in several languages.

    Args:
        folder: The folder with ``captions.json``, or the one above it.
        flaws: Takes empty captions, and clips without one in the languages asked for.
        languages: Those to keep; ``None``: all that the file has.

    Raises:
        DataFormatError: Not such a file, or a language that it does not have.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.text_video_layouts import write_fake_rudder
        >>> write_fake_rudder(root := tempfile.mkdtemp(), clips=30)
        >>> listed = read_rudder(root, Flaws(strict=True), languages=["mr"])
        >>> listed.counts(), {caption.language for caption in listed.captions["test"]}
        ((20, 4, 6), {'mr'})
    """
    return read_own_captions(folder, flaws, languages=languages)
