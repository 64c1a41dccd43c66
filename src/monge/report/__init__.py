"""Reports: a run folder or a comparison as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_comparison", "write_report"]


def write_report(run: Path) -> Path:
    """Writes ``report.html`` into a run folder; see :func:`monge.report.run_page.write_report`.

    Args:
        run: Folder of a run. Missing or broken pieces of it become a sentence in the page.

    Returns:
        Path of the page.

    Raises:
        RunError: The folder is no run folder or cannot be written.
        MissingExtraError: A package of the extra ``train`` is not installed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "metrics.jsonl").write_text('{"step": 1, "epoch": 0, "test/map": 0.5}')
        >>> write_report(folder).name
        'report.html'
    """
    from monge.report.run_page import write_report as write

    return write(run)


def write_comparison(folder: Path) -> Path:
    """Writes ``compare.html`` beside ``compare.json``; see :func:`monge.report.comparison_page.write_comparison`.

    Args:
        folder: Folder of a comparison.

    Returns:
        Path of the page.

    Raises:
        RunError: ``compare.json`` is missing or broken, or the folder cannot be written.
        MissingExtraError: A package of the extra ``train`` is not installed.

    Example:
        >>> import tempfile
        >>> from monge.errors import RunError
        >>> try:
        ...     write_comparison(Path(tempfile.mkdtemp()))
        ... except RunError as error:
        ...     print(str(error).split(": ")[1])
        found no compare.json here, expected the folder of a comparison
    """
    from monge.report.comparison_page import write_comparison as write

    return write(folder)
