from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
LAST_WORDS = {
    "hard_pairs.py": r"of the pairs",
    "matching_point_sets.py": r"exact cost at the end 0\.0",
    "plain_pytorch.py": r"test mAP 0\.[5-9]",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_example_runs_and_ends_as_it_should(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert re.search(LAST_WORDS[example.name], done.stdout.splitlines()[-1]), done.stdout
