"""SVG and HTML elements as escaped strings: the few lines under every chart of a report."""

from __future__ import annotations

import html
import unicodedata


class Markup(str):
    """Text that is already markup; Jinja's autoescape leaves it alone because it has ``__html__``.

    Example:
        >>> Markup("<b>x</b>").__html__()
        '<b>x</b>'
    """

    __slots__ = ()

    def __html__(self) -> str:
        """The markup itself, as Jinja and MarkupSafe ask for it."""
        return str(self)


def clean(name: object, limit: int = 60) -> str:
    """A name from outside made printable: control, format and unpaired characters replaced, at most ``limit`` long.

    Not escaped: that is done where the name meets markup, by :func:`tag` and by Jinja's autoescape.

    Example:
        >>> clean("a\\x00b" + "c" * 9, limit=6)
        'a\\ufffdbcc…'
    """
    text = "".join("\ufffd" if unicodedata.category(c) in {"Cc", "Cf", "Cs"} else c for c in str(name)[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shortened(name: object, limit: int) -> str:
    """A printable name of at most ``limit`` characters that keeps its end, where names of one kind differ.

    Example:
        >>> shortened("species number 22", 12), shortened("ant", 12)
        ('specie…er 22', 'ant')
    """
    text = clean(name, 400)
    if len(text) <= limit:
        return text
    head = 3 * (limit - 1) // 5
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def tag(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """One element. Plain ``str`` children are escaped, :class:`Markup` children are kept.

    Args:
        name: Element name.
        *children: Text or markup inside the element.
        **attributes: Attributes; a trailing underscore is dropped (``class_``), other underscores become hyphens,
            floats are rounded to two decimals, ``None`` leaves the attribute out.

    Example:
        >>> tag("text", "a < b", x=1.50, text_anchor="end", class_="tick")
        '<text x="1.5" text-anchor="end" class="tick">a &lt; b</text>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(child if isinstance(child, Markup) else html.escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")


def join(parts: list[Markup]) -> Markup:
    """Markup parts one after the other.

    Example:
        >>> join([tag("b", "1"), tag("b", "2")])
        '<b>1</b><b>2</b>'
    """
    return Markup("".join(parts))


def _value(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
