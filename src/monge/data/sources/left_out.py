"""Telling what of a data set was left out."""

from __future__ import annotations

import logging
import warnings

from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown

_LOG = logging.getLogger("monge.data")


def tell(name: str, flaws: Flaws) -> None:
    """One warning for all that was left out, and a line of the log for each.

    Args:
        name: Name of the data set.
        flaws: What was left out.
    """
    if told := flaws.told():
        where = "the log of monge.data names each at level INFO"
        warnings.warn(f"{name}: left out {', '.join(told)}; {where}", UserWarning, stacklevel=5)
    for kind, entries in flaws.found.items():
        for flaw in entries:
            place = f"{shown(flaw.path)} {flaw.where}".strip()
            _LOG.info("%s: left out of %s: %s: found %s", name, kind, place, flaw.found)
