"""Ctrl-C and SIGTERM: finish the step, save, say how to go on."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from monge.errors import RunError
from monge.train.run_files import is_main_process

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(RunError):  # noqa: N818  being asked to stop is no error
    """A run that was asked to stop.

    Args:
        message: Where it stopped and how to resume it.
        signum: The signal; the command line exits with 128 plus its number.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        # Lightning kills all processes as soon as one of the further ones ends with anything but 0.
        self.exit_code = 128 + signum if is_main_process() else 0


class StopSignals:
    """While active, the first signal is remembered in `requested` and a second one stops at once.

    Outside of `patient` stretches, where nothing would look at `requested`, the first signal stops at once too.

    Attributes:
        requested: The signal, once there was one.
        patient: Whether somebody looks at `requested` now and then.
        resume_command: What to tell the user; empty as long as there is nothing to resume.

    Example:
        >>> with StopSignals() as signals:
        ...     signals.requested is None
        True
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self.patient = False
        self.resume_command = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        self.install()
        return self

    def install(self) -> None:
        """Takes the handlers over, also from a library that has replaced them since."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python delivers signals to the main thread alone
        for number in _SIGNALS:
            before = signal.signal(number, self._handle)
            self._before.setdefault(number, before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested is not None, signum
        if again or not self.patient:
            raise self.interruption("before the run was done")

    def interruption(self, where: str) -> Interrupted:
        """The error to raise.

        Args:
            where: Completes "stopped ...".
        """
        advice = f"; to go on: {self.resume_command}" if self.resume_command else ""
        return Interrupted(f"stopped {where}{advice}", self.requested or signal.SIGINT)
