"""YAML as recipes use it: plain mappings, lists and values, with everything else refused by name.

`yaml.safe_load` alone lets three surprises through: aliases (a few lines that expand to gigabytes), keys given twice
(the last one wins in silence) and numbers such as ``1e-3``, which YAML 1.1 reads as text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from monge.errors import RecipeError

MAX_BYTES = 64 * 1024

_FLOAT = re.compile(
    r"^(?:[-+]?(?:\d[\d_]*\.[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?|[-+]?\d[\d_]*[eE][-+]?\d+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _PlainLoader(yaml.SafeLoader):
    """A safe loader without aliases and without double keys, that reads ``1e-3`` as a number."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {key.value!r} is given twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(f"^(?:{_FLOAT.pattern})$"), list("-+.0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """Reads one YAML document.

    Args:
        text: The document.
        where: What to call it in an error.

    Raises:
        RecipeError: It is over 64 KiB or is not plain YAML; names the line.

    Example:
        >>> parse_yaml("lr: 1e-3", "example")
        {'lr': 0.001}
    """
    if len(text) > MAX_BYTES:
        raise RecipeError(f"{where}: found {len(text)} characters, a recipe has at most {MAX_BYTES}")
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}:" if mark is not None else ""
        raise RecipeError(f"{where}:{line} {error.problem or 'not YAML'}") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise RecipeError(f"{where}: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise RecipeError(f"{where}: nested too deeply for a recipe") from error
