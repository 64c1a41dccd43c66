"""Modules that only an optional package can import are left out where it is missing."""

from importlib.util import find_spec

_NEEDED_BY = {"numba": "src/monge/ot/compiled/*", "triton": "src/monge/ot/gpu/*"}

collect_ignore_glob = [modules for package, modules in _NEEDED_BY.items() if find_spec(package) is None]
