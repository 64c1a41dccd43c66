"""What a run says whose loss has stopped being a number."""

from __future__ import annotations

from monge.errors import RunError
from monge.train.run_files import is_main_process


class DivergedError(RunError):
    """The loss stopped being a finite number; the last checkpoint is from before. All processes raise it together."""

    @property
    def exit_code(self) -> int:
        """Of the command line; the first process speaks for all."""
        return 2 if is_main_process() else 0

    @classmethod
    def at(cls, step: int, epoch: int, lr: float) -> DivergedError:
        """The error for a step.

        Args:
            step: Step whose loss was not finite, counted from 1; negative: it happened in another process.
            epoch: Its epoch, from 0.
            lr: Learning rate of the recipe.

        Example:
            >>> print(DivergedError.at(7, 0, 0.1))
            the loss was not finite at step 7 (epoch 1); lower optimizer.lr (now 0.1) or set train.grad_clip=1
        """
        where = f"at step {step} (epoch {epoch + 1})" if step >= 0 else "in another process"
        return cls(f"the loss was not finite {where}; lower optimizer.lr (now {lr:g}) or set train.grad_clip=1")
