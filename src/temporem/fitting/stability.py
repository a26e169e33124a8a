"""Numbers that stop being numbers end a fit with a sentence, not with a traceback."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from temporem.errors import UserError

__all__ = ["require_finite", "stable"]


def require_finite(value: float, what: str, remedy: str) -> None:
    """Raise UserError for a number that is not finite; `what` it is and the `remedy` become the sentence."""
    if not math.isfinite(value):
        raise UserError(f"{what} became {value}: {remedy}.")


@contextmanager
def stable(what: str, remedy: str) -> Iterator[None]:
    """Raise UserError where a matrix inside the block has no Cholesky factor: by then numbers are lost."""
    try:
        yield
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise UserError(f"{what} became unstable ({str(error).splitlines()[0]}): {remedy}.") from error
