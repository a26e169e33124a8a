"""The seeds that commands of this package take."""

from temporem.errors import UserError

__all__ = ["check_seed"]


def check_seed(seed: int) -> None:
    """Raise UserError for a seed that not every generator of random numbers takes."""
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed is {seed}, but must be from 0 to 2³² − 1: choose another value.")
