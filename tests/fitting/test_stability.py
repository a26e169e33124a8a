import math

import pytest
import torch

from temporem.errors import UserError
from temporem.fitting.stability import require_finite, stable


def test_finite_numbers_pass() -> None:
    require_finite(-1e30, "the loss", "do this")
    with stable("the loss", "do this"):
        torch.linalg.cholesky(torch.eye(2))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_others_end_in_a_sentence(value: float) -> None:
    with pytest.raises(UserError, match=f"^the loss became {value}: do this\\.$"):
        require_finite(value, "the loss", "do this")


@pytest.mark.parametrize("matrix", [torch.full((2, 2), torch.nan), -torch.eye(2)])
def test_matrices_without_a_factor_end_in_a_sentence(matrix: torch.Tensor) -> None:
    with (
        pytest.raises(UserError, match=r"^the loss became unstable \(.*\): do this\.$"),
        stable("the loss", "do this"),
    ):
        torch.linalg.cholesky(matrix)
