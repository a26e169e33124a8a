from pathlib import Path

import numpy as np
import pytest

from temporem.errors import UserError
from temporem.simulation.motions import (
    ConstantSpeed,
    Motion,
    PassingThrough,
    Static,
    Telegraph,
    conformations,
)
from temporem.simulation.routes import Route, TorsionRoute, TrajectoryRoute
from temporem.simulation.structures import read_structure

MOTIONS = [ConstantSpeed(10.0, 10), PassingThrough(19), Telegraph(0.2, 0.1), Static()]
LENGTHS = np.array([10, 1, 25, 7])


@pytest.mark.parametrize("twin", [False, True])
@pytest.mark.parametrize("motion", MOTIONS)
def test_every_movie_keeps_its_length_and_its_states_stay_on_the_route(motion: Motion, twin: bool) -> None:
    first, again = (motion.schedule(LENGTHS, np.random.default_rng(3), twin) for _ in range(2))
    assert len(first.state) == len(first.category) == LENGTHS.sum()
    assert first.state.min() >= 0
    assert first.state.max() <= 1
    np.testing.assert_array_equal(first.state, again.state)


def test_constant_speed_turns_nine_degrees_a_frame_and_turns_back() -> None:
    schedule = ConstantSpeed(10.0, 10).schedule(np.array([10, 13]), np.random.default_rng(0))
    np.testing.assert_allclose(schedule.state[:10] * 90, np.arange(10) * 9)
    np.testing.assert_allclose(schedule.state[10:] * 90, [*range(0, 91, 9), 81, 72], atol=1e-9)
    assert schedule.category[:10].tolist() == list(range(10))


def test_a_twin_moves_at_the_same_speed_from_anywhere_either_way() -> None:
    lengths = np.full(400, 10)
    state = (
        ConstantSpeed(10.0, 10).schedule(lengths, np.random.default_rng(0), twin=True).state.reshape(400, 10)
    )
    step = np.abs(np.diff(state, axis=1))
    whole = np.isclose(step, 0.1)
    assert whole.mean() > 0.85
    assert step.max() < 0.1 + 1e-9
    # A count of frames tells nothing: the mean state is the same at every frame.
    np.testing.assert_allclose(state.mean(axis=0), 0.5, atol=0.06)
    assert 0.4 < (state[:, 1] > state[:, 0]).mean() < 0.6


def test_passing_through_visits_the_states_in_order_with_variation_inside() -> None:
    schedule = PassingThrough(19).schedule(np.full(100, 19), np.random.default_rng(0))
    category, state = schedule.category.reshape(100, 19), schedule.state.reshape(100, 19)
    np.testing.assert_array_equal(category, np.broadcast_to(np.arange(19), (100, 19)))
    inside = state * 19 - category
    assert inside.min() >= 0
    assert inside.max() < 1
    assert inside.std() == pytest.approx(12**-0.5, rel=0.05)


def test_a_twin_passes_through_neighbouring_states_and_turns_back_at_the_ends() -> None:
    schedule = PassingThrough(7).schedule(np.full(300, 30), np.random.default_rng(0), twin=True)
    category = schedule.category.reshape(300, 30)
    step = np.diff(category, axis=1)
    assert set(np.unique(step)) == {-1, 0, 1}
    assert set(np.unique(category[:, 1:][step == 0])) == {0, 6}
    counts = np.bincount(category.ravel(), minlength=7) / category.size
    np.testing.assert_allclose(counts, 1 / 7, atol=0.02)


@pytest.mark.parametrize("twin", [False, True])
def test_telegraph_has_the_rates_it_was_given(twin: bool) -> None:
    forward, backward = 0.3, 0.1
    schedule = Telegraph(forward, backward).schedule(np.full(2000, 20), np.random.default_rng(0), twin)
    state = schedule.state.reshape(2000, 20)
    total = forward + backward
    # The two-state master equation, solved.
    start = forward / total if twin else 0.0
    expected = forward / total + (start - forward / total) * np.exp(-total * np.arange(20))
    np.testing.assert_allclose(state.mean(axis=0), expected, atol=0.04)
    before, after = state[:, :-1], state[:, 1:]
    assert after[before == 0].mean() == pytest.approx(forward / total * (1 - np.exp(-total)), abs=0.02)


def test_static_molecules_stand_still() -> None:
    assert not Static().schedule(LENGTHS, np.random.default_rng(0)).state.any()
    state = Static().schedule(np.full(50, 4), np.random.default_rng(0), twin=True).state.reshape(50, 4)
    assert (np.ptp(state, axis=1) == 0).all()
    assert np.ptp(state) > 0.8


def test_each_distinct_conformation_is_made_once(peptide: Path) -> None:
    route = TorsionRoute(read_structure(peptide), 5)
    schedule = ConstantSpeed(10.0, 10).schedule(np.full(6, 10), np.random.default_rng(0))
    made = conformations([route], schedule, np.random.default_rng(0))
    assert made.positions.shape == (10, 60, 3)
    np.testing.assert_allclose(made.value[:10], np.arange(10) * 9)
    assert made.unit == "degrees"
    np.testing.assert_allclose(made.positions[made.conformation], route.positions(schedule.state), atol=1e-5)


def test_left_out_frames_take_their_conformations_with_them(peptide: Path) -> None:
    route = TorsionRoute(read_structure(peptide), 5)
    schedule = ConstantSpeed(10.0, 10).schedule(np.array([10, 10]), np.random.default_rng(0))
    made = conformations([route], schedule, np.random.default_rng(0))
    kept = made.rows(made.category >= 4)
    assert len(kept.positions) == 6
    assert kept.state.min() == pytest.approx(0.4)
    np.testing.assert_array_equal(
        kept.positions[kept.conformation], made.positions[made.conformation][made.category >= 4]
    )


def snapshots_in(peptide: Path, count: int) -> TrajectoryRoute:
    structure = read_structure(peptide)
    return TrajectoryRoute(structure, structure.positions + np.arange(count)[:, None, None])


@pytest.mark.parametrize("twin", [False, True])
@pytest.mark.parametrize(("states", "snapshots"), [(19, 95), (20, 98), (19, 19), (7, 15), (5, 3)])
@pytest.mark.parametrize("several", [1, 3])
def test_every_conformation_is_of_one_category_in_which_its_state_lies(
    peptide: Path, states: int, snapshots: int, several: int, twin: bool
) -> None:
    routes: list[Route] = [snapshots_in(peptide, snapshots) for _ in range(several)]
    part = np.linspace(0, 1, states + 1)
    for seed in range(3):
        for motion in (PassingThrough(states), ConstantSpeed(17.0, states, latest_start=0.3)):
            schedule = motion.schedule(np.full(40, 23), np.random.default_rng(seed), twin)
            made = conformations(routes, schedule, np.random.default_rng(seed))
            pairs = set(zip(made.conformation.tolist(), made.category.tolist(), strict=True))
            assert len(pairs) == len(made.positions)
            assert (made.state >= part[made.category] - 1e-9).all()
            assert (made.state <= part[made.category + 1] + 1e-9).all()
            # No conformation is chosen for its category's sake: it is the one nearest to the state drawn.
            assert np.abs(made.state - schedule.state).max() <= 0.5 / (snapshots - 1) + 1e-9


@pytest.mark.parametrize(("motion", "seen"), [(Telegraph(0.2, 0.1), [0, 1]), (Static(), [0])])
def test_jumping_and_still_molecules_keep_their_categories_among_snapshots(
    peptide: Path, motion: Motion, seen: list[int]
) -> None:
    schedule = motion.schedule(np.full(40, 9), np.random.default_rng(0), twin=True)
    made = conformations([snapshots_in(peptide, 6)], schedule, np.random.default_rng(0))
    assert np.unique(made.category).tolist() == seen
    if len(seen) == 2:
        np.testing.assert_array_equal(made.category, made.state)


@pytest.mark.parametrize(
    "motion", [ConstantSpeed(0.0, 3), PassingThrough(0), Telegraph(0.0, 1.0), Telegraph(1.0, -1.0)]
)
def test_impossible_motions_are_refused(motion: Motion) -> None:
    with pytest.raises(UserError, match="give a"):
        motion.schedule(LENGTHS, np.random.default_rng(0))
