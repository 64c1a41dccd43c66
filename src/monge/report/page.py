"""From a template and its values to one self-contained HTML file, written in one step."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from monge.errors import RunError
from monge.extras import require
from monge.report.axes import tick_label
from monge.report.svg import Markup, clean
from monge.train.atomic import write_atomically


def render(template: str, values: Mapping[str, object]) -> str:
    """A page of this package with style sheet and script inside it.

    The page forbids itself any request and any script but its own, by a content security policy with the script's
    digest, so that a name that slipped through the escaping still could not run.

    Args:
        template: Name of the template, e.g. ``"run.html"``.
        values: What the template prints; everything but :class:`monge.report.svg.Markup` is escaped.
    """
    jinja2 = require("jinja2", extra="train", purpose="writing a report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, duration=duration, clean=clean, rate=rate)
    environment.tests["text"] = lambda value: isinstance(value, str)
    script = _source("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page: str = environment.get_template(template).render(
        style=Markup(_source("report.css")), script=Markup(script), script_digest=digest, **values
    )
    return page


def write_page(path: Path, page: str) -> Path:
    """Writes a page beside its target and moves it there, so that a reader never sees half a page.

    Raises:
        RunError: The folder cannot be written.
    """
    # Unpaired surrogates can come out of JSON and have no UTF-8 form.
    content = page.encode("utf-8", errors="replace")
    try:
        write_atomically(path, lambda part: part.write_bytes(content))
    except OSError as error:
        raise RunError(f"{path}: could not be written ({error.strerror or error})") from error
    return path


def number(value: Any, digits: int = 4) -> str:
    """A number as a reader wants it; an en dash for what is no number.

    Example:
        >>> number(0.97126), number(12000), number(None), number(float("nan"))
        ('0.9713', '12,000', '–', 'NaN')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    if value != value:
        return "NaN"
    # Also what JSON may hold as an integer that no float can.
    if abs(value) > sys.float_info.max:
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) >= 2:
        return f"{int(value):,}"
    if 0 < abs(value) < 1e-3 or abs(value) >= 1e6:
        return f"{value:.3g}"
    return f"{value:.{digits}f}"


def rate(value: float) -> str:
    """A learning rate as it is usually written.

    Example:
        >>> rate(0.0003), rate(0.00333333), rate(0.1)
        ('3e-4', '0.00333', '0.1')
    """
    return tick_label(float(f"{value:.3g}"))


def duration(seconds: Any) -> str:
    """Seconds as text.

    Example:
        >>> duration(3.25), duration(134), duration(7320), duration(None)
        ('3.2 s', '2 min 14 s', '2 h 2 min', '–')
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e12:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _source(name: str) -> str:
    return resources.files("monge.report").joinpath(name).read_text(encoding="utf-8")
