"""Fits so short that many of them can be made, and stopped anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from temporem.fitting import encoder_start, linear, warm_start
from temporem.fitting.held_out import subspace as held_out

__all__ = ["shorten", "stop_after"]


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Make what comes before the training of networks short."""
    for module, name, value in (
        (linear, "FIRST_EPOCHS", 2),
        (linear, "MORE_EPOCHS", 2),
        (held_out, "FIRST_EPOCHS", 2),
        (held_out, "TIMED_EPOCHS", 1),
        (warm_start, "STEPS", 4),
        (encoder_start, "STEPS", 4),
    ):
        patch.setattr(module, name, value)


def stop_after(
    patch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    calls: int,
    error: type[BaseException] = KeyboardInterrupt,
) -> None:
    """Let the function be called so many times, and be interrupted at the next."""
    function: Callable[..., Any] = getattr(owner, name)
    done = 0

    def stopping(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        if done == calls:
            raise error
        done += 1
        return function(*arguments, **options)

    patch.setattr(owner, name, stopping)
