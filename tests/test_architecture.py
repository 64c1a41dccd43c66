"""The house: floors, file sizes, what an import costs and brings along."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "monge"
FLOORS = {
    "errors": -1,
    "extras": -1,
    "ot": 0,
    "ground": 1,
    "losses": 2,
    "mining": 2,
    "data": 3,
    "metrics": 3,
    "nn": 3,
    "recipes": 4,
    "train": 4,
    "report": 5,
    "export": 5,
    "integrations": 5,
    "cli": 6,
}
CORE = (
    "monge",
    "monge.ot",
    "monge.ground",
    "monge.losses",
    "monge.mining",
    "monge.metrics",
    "monge.nn",
    "monge.data.formats",
)


def imports(path: Path) -> set[str]:
    """First-level rooms of monge that a file imports, wherever in the file."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        if isinstance(node, ast.ImportFrom) and node.module == "monge":
            names = [f"monge.{alias.name}" for alias in node.names if alias.name in FLOORS]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("monge.")}
    return rooms


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_imports_only_from_its_floor_or_below(path: Path) -> None:
    parts = path.relative_to(SOURCE).parts
    room = parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    above = {name for name in imports(path) if FLOORS[name] > FLOORS[room]}
    assert not above, f"{room} (floor {FLOORS[room]}) imports {sorted(above)}"


def test_files_stay_readable() -> None:
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCE.rglob("*.py")}
    assert {str(p): n for p, n in lengths.items() if n > 500} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 130


def test_no_file_has_a_name_that_says_nothing() -> None:
    junk = {"utils.py", "common.py", "helpers.py", "misc.py"}
    assert not [p for p in SOURCE.rglob("*.py") if p.name in junk]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_the_core_needs_torch_and_numpy_alone() -> None:
    code = f"""
import sys
blocked = ("scipy", "ot", "sklearn", "lightning", "timm", "torchvision", "pydantic", "yaml", "typer", "rich",
           "safetensors", "jinja2", "PIL", "pytorch_metric_learning", "lap")
for name in blocked:
    sys.modules[name] = None
import importlib
for name in {CORE!r}:
    importlib.import_module(name)
import torch, monge
x = torch.randn(8, 4, requires_grad=True)
monge.BatchwiseOTLoss()(torch.nn.functional.normalize(x, dim=1), torch.arange(8) % 2).backward()
print("fine")
"""
    assert run(code).strip() == "fine"


def test_importing_monge_adds_little_to_torch() -> None:
    """No clock, which a busy machine would stretch: only a handful of modules may be loaded beyond torch's own."""
    code = """
import json, sys
import torch
before = set(sys.modules)
import monge
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    added = json.loads(run(code))
    assert "monge" in added
    assert len(added) < 20, added
    assert "torchvision" not in added
