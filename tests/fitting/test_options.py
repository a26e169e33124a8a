import math
from typing import Any

import pytest

from temporem.errors import UserError
from temporem.fitting.options import FittingOptions


def test_the_defaults_hold() -> None:
    FittingOptions().check()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latent_dim": 0}, "--latent-dim is 0, but must be auto, or from 1 to 64"),
        ({"latent_dim": -3}, "--latent-dim is -3"),
        ({"latent_dim": 500}, "--latent-dim is 500"),
        ({"devices": 0}, "--devices is 0, but must be at least 1"),
        ({"nodes": -2}, "--nodes is -2"),
        ({"epochs": 1}, "--epochs is 1, but must be at least 2"),
        ({"seed": -1}, "--seed is -1"),
        ({"seed": 2**32}, "--seed is 4294967296"),
        ({"width": 0}, "--width is 0"),
        ({"layers": 0}, "--layers is 0"),
        ({"frames_per_batch": 0}, "--frames-per-batch is 0"),
        ({"coefficients_per_step": 0.0}, "--coefficients-per-step is 0.0, but must be above 0 and at most 1"),
        ({"coefficients_per_step": 1.5}, "--coefficients-per-step is 1.5"),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0"),
        ({"learning_rate": math.nan}, "--learning-rate is nan"),
        ({"learning_rate": math.inf}, "--learning-rate is inf"),
        ({"beta": -0.1}, "--beta is -0.1"),
        ({"beta": math.nan}, "--beta is nan"),
    ],
    ids=str,
)
def test_numbers_that_make_no_sense_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as raised:
        FittingOptions(**options).check()
    assert words in str(raised.value)
    assert str(raised.value).endswith("choose another value.")


@pytest.mark.parametrize(
    ("options", "deforms"),
    [
        ({}, True),
        ({"latent_dim": 8, "seed": 3, "device": "cpu"}, True),
        ({"generator": "fourier"}, False),
        ({"method": "cryodrgn"}, False),
        ({"method": "linear"}, False),
        ({"epochs": 4}, False),
        ({"prior": "standard"}, False),
        ({"generator": "deformable"}, True),
    ],
    ids=str,
)
def test_one_density_moves_unless_networks_are_asked_for(options: dict[str, Any], deforms: bool) -> None:
    given = FittingOptions(**options)
    given.check()
    assert given.deforms is deforms


def test_an_option_of_networks_is_not_taken_in_vain() -> None:
    with pytest.raises(UserError, match="no networks that --learning-rate could be for: leave out one"):
        FittingOptions(generator="deformable", learning_rate=1e-3).check()


def test_networks_that_make_volumes_or_features_from_nothing_are_wider() -> None:
    assert FittingOptions().units < FittingOptions(explicit=False).units
    assert FittingOptions(features="image").units == FittingOptions(explicit=False).units
    assert FittingOptions().without_poses().units == FittingOptions(explicit=False).units
    assert FittingOptions(width=7, explicit=False).units == 7


def test_a_resumed_run_need_not_have_as_many_processes() -> None:
    assert FittingOptions(devices=4, nodes=2).asked() == FittingOptions().asked()
    assert FittingOptions(device="cpu").asked() != FittingOptions().asked()
