"""``python -m monge`` is the ``monge`` command."""

from __future__ import annotations

import sys

from monge.cli import main

if __name__ == "__main__":
    sys.exit(main())
