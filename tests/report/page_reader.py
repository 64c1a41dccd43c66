"""Reads a page as a browser would, with the standard library's parser, and checks what every page must keep."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

_VOID = {"meta", "img", "br", "link", "input", "hr"}
_ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "formaction"}


@dataclass
class Element:
    """A start tag with its attributes and all text below it."""

    name: str
    attributes: dict[str, str]
    parents: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements of a page in order."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {k: v or "" for k, v in attrs}, tuple(e.attributes.get("id", "") for e in self.open))
        self.elements.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, name: str, css: str = "") -> list[Element]:
        """Elements by tag name and, if given, one of their classes."""
        wanted = [e for e in self.elements if e.name == name]
        return [e for e in wanted if not css or css in e.attributes.get("class", "").split()]

    def section(self, identity: str) -> Element:
        """The section with this id."""
        return next(e for e in self.all("section") if e.attributes.get("id") == identity)

    def map_data(self) -> Any:
        """What the script of the embedding map gets."""
        return json.loads(next(e.text for e in self.all("script") if e.attributes.get("id") == "map-data"))


def read_page(path: Path) -> Page:
    """Parses a page and checks that it is well nested, self-contained, and runs no script but its own."""
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open, f"never closed: {[e.name for e in page.open]}"
    for element in page.elements:
        for key, value in element.attributes.items():
            assert not key.startswith("on"), f"<{element.name} {key}>"
            if key in _ADDRESSES:
                assert value.startswith(("data:image/png;base64,", "#")), f"<{element.name} {key}={value[:60]!r}>"
            assert "url(" not in value, f"<{element.name} {key}={value[:60]!r}>"
    assert not re.search(r"@import|url\(", "".join(e.text for e in page.all("style")))
    assert not page.all("link")
    assert not page.all("iframe")
    _check_scripts(page)
    return page


def _check_scripts(page: Page) -> None:
    running = [e for e in page.all("script") if e.attributes.get("type") != "application/json"]
    assert len(running) == 1
    digest = base64.b64encode(hashlib.sha256(running[0].text.encode()).digest()).decode()
    policy = next(e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes)
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def check_charts(page: Page) -> int:
    """Every chart has a title, both axes named and an accessible name; returns how many there are."""
    charts = page.all("svg", "chart")
    named = {"chart-title": 0, "x": 0, "y": 0}
    for text in page.all("text"):
        for css in named.keys() & set(text.attributes.get("class", "").split()):
            assert text.text.strip()
            named[css] += 1
    assert set(named.values()) == {len(charts)}
    assert all(chart.attributes["role"] == "img" and chart.attributes["aria-label"] for chart in charts)
    return len(charts)
