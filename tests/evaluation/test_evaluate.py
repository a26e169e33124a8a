import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from temporem.errors import UserError
from temporem.evaluation.comparison import compare_runs
from temporem.evaluation.evaluate import EvaluationOptions, evaluate
from temporem.evaluation.evaluation_folder import read_evaluation
from temporem.evaluation.pooled import ImagesOfOneState, rows_along_the_path
from temporem.model.generators import Generator
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import read_movies
from temporem.movies.reading_options import ReadingOptions
from temporem.reconstruction.run import Run
from temporem.simulation.densities import DensityOptions
from temporem.simulation.molecules import Torsion
from temporem.simulation.motions import ConstantSpeed
from temporem.simulation.options import MicroscopeOptions, SimulationOptions
from temporem.simulation.simulate import simulate
from temporem.simulation.truth import Truth

MOVIES, FRAMES = 12, 6


@pytest.fixture(scope="module")
def movies(peptide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peptide")
    options = SimulationOptions(
        molecule=Torsion(structure=str(peptide), residue=6),
        motion=ConstantSpeed(frames_per_pass=float(FRAMES), states=FRAMES),
        movies=MOVIES,
        frames=FRAMES,
        box_size=24,
        pixel_size_in_angstroms=2.0,
        snr=2.0,
        microscope=MicroscopeOptions(ctf=False),
        density=DensityOptions(method="gaussian", sigma_in_angstroms=2.5),
    )
    simulate(options, folder / "movies")
    return folder / "movies"


class TrueGenerator(Generator):
    """Its latent is the image's row, and its volume the truth with a little noise."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self.truth = truth

    def slices(self, z: torch.Tensor, rotation: torch.Tensor, frequency: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def volumes(self, z: torch.Tensor) -> torch.Tensor:
        volumes = self.truth.volume(z[:, 0].long().numpy())
        generators = (torch.Generator().manual_seed(int(row)) for row in z[:, 0])
        noise = torch.stack([torch.randn(volumes.shape[1:], generator=x) for x in generators])
        return volumes + 0.05 * volumes.std(dim=(1, 2, 3), keepdim=True) * noise

    def describe(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def from_description(cls, description: dict[str, Any], build: object) -> "TrueGenerator":
        raise NotImplementedError


class TrueRun(Run):
    def generator(self, device: str = "cpu") -> TrueGenerator:
        return TrueGenerator(Truth.load(Path(self.configured("input")).parent))


def make_run(path: Path, movies: Path, **config: object) -> Run:
    run = TrueRun.create(
        path,
        {
            "input": movies / "movies.star",
            "reading": ReadingOptions(),
            "preprocessing": PreprocessingOptions(),
            "pixel_size_in_angstroms": 2.0,
            "image_scale": 0.5,
        }
        | config,
    )
    found = read_movies(movies / "movies.star", ReadingOptions())
    state = torch.tensor(Truth.load(movies).states["state"].to_numpy(), dtype=torch.float32)
    z = torch.stack((torch.arange(len(found), dtype=torch.float32), 3 * state), dim=-1)
    run.write_latents(found, z, torch.ones_like(z))
    run.write_mask(torch.ones(24, 24, 24))
    return run


@pytest.fixture(scope="module")
def run(movies: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run") / "run", movies)


def test_an_evaluation_holds_what_the_definitions_ask_for(run: Run, movies: Path, tmp_path: Path) -> None:
    truth = Truth.load(movies)
    summary = evaluate(run, truth, tmp_path, EvaluationOptions(pooled=True))
    assert json.loads((tmp_path / "evaluation.json").read_text()) == summary
    assert list(summary["methods"]) == ["run", "consensus", "clock", "oracle", "pooled"]
    resolution = {
        name: method["moving"]["resolution_in_angstroms"]["mean_over_frames"]
        for name, method in summary["methods"].items()
    }
    assert resolution["run"] < resolution["oracle"] <= resolution["consensus"]
    # As many frames of one state tell more of it than frames of all, however well these are weighted.
    assert resolution["pooled"] < resolution["oracle"]
    # Movies that all run alike: the clock knows the state.
    assert resolution["clock"] == pytest.approx(resolution["oracle"], rel=0.02)
    assert summary["latent_agreement"]["linear_r_squared"] > 0.99
    assert summary["phase_randomised_floor"].keys() == {"molecule", "moving"}
    assert summary["run_on_reference_frames"] == summary["methods"]["run"]

    frames, fsc = pd.read_csv(tmp_path / "frames.csv"), pd.read_csv(tmp_path / "fsc.csv")
    assert len(frames) == 4 * len(truth) + 5
    assert list(frames.query("method == 'pooled'")["image"]) == sorted(rows_along_the_path(truth, 5))
    of_run = frames[frames["method"] == "run"]
    assert of_run["moving_resolution_in_angstroms"].mean() == pytest.approx(resolution["run"], rel=1e-5)
    assert set(fsc["method"]) == {*summary["methods"], "phase-randomised floor"}
    floor = fsc[(fsc["method"] == "phase-randomised floor") & (fsc["mask"] == "molecule")]["fsc"]
    above = fsc[(fsc["method"] == "run") & (fsc["mask"] == "molecule")]["fsc"]
    assert floor.to_numpy()[8:].mean() < above.to_numpy()[8:].mean()


def test_a_second_evaluation_gives_the_same_files(run: Run, movies: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        evaluate(run, Truth.load(movies), tmp_path / name, EvaluationOptions(frames=10, reference_frames=4))
    for file in ("evaluation.json", "frames.csv", "fsc.csv"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_subset_of_frames_has_the_figures_of_the_whole(run: Run, movies: Path, tmp_path: Path) -> None:
    options = EvaluationOptions(references=False)
    evaluate(run, Truth.load(movies), tmp_path / "all", options)
    evaluate(run, Truth.load(movies), tmp_path / "some", EvaluationOptions(frames=5, references=False))
    everything, some = (pd.read_csv(tmp_path / name / "frames.csv") for name in ("all", "some"))
    assert len(some) == 5
    chosen = everything.set_index("image").loc[some["image"]].reset_index()
    pd.testing.assert_frame_equal(chosen[some.columns], some)


def test_the_truth_of_other_movies_is_refused(run: Run, movies: Path, tmp_path: Path) -> None:
    truth = Truth.load(movies)
    fewer = Truth(
        **{
            **{name: getattr(truth, name) for name in truth.__dataclass_fields__ if not name.startswith("_")},
            "states": truth.states.iloc[:-1],
        }
    )
    with pytest.raises(UserError, match="72 images and the truth 71"):
        evaluate(run, fewer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_pixel_size_is_refused(movies: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", movies, pixel_size_in_angstroms=1.0)
    with pytest.raises(UserError, match=r"24\.0 Å wide and the truth's 48\.0 Å"):
        evaluate(run, Truth.load(movies), tmp_path / "evaluation")


def test_no_frames_cannot_be_scored(run: Run, movies: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 1"):
        evaluate(run, Truth.load(movies), tmp_path, EvaluationOptions(frames=0))


def test_a_negative_seed_is_refused(run: Run, movies: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--seed is -1"):
        evaluate(run, Truth.load(movies), tmp_path, EvaluationOptions(seed=-1))


def test_runs_are_compared_if_their_movies_are_the_same_aligned_or_not(
    run: Run, movies: Path, tmp_path: Path
) -> None:
    truth, few = Truth.load(movies), EvaluationOptions(frames=5, references=False)
    noisier = replace(truth, snr=truth.snr / 10, noise_variance=10 * truth.noise_variance)
    for name, known, options in (
        ("plain", truth, few),
        ("aligned", truth, replace(few, align=True)),
        ("noisier", noisier, few),
    ):
        evaluate(run, known, tmp_path / name, options)
    plain, aligned, other = (read_evaluation(tmp_path / x) for x in ("plain", "aligned", "noisier"))
    assert compare_runs({"plain": plain, "aligned": aligned}).summary["frames"] == 5
    with pytest.raises(
        UserError, match=r"plain was scored on movies of SNR 2 .* noisier on movies of SNR 0\.2 "
    ):
        compare_runs({"plain": plain, "noisier": other})


def test_images_of_one_state_are_the_data_sets_where_it_shows_that_state(movies: Path) -> None:
    truth = Truth.load(movies)
    given = read_movies(movies / "movies.star", ReadingOptions())
    row = rows_along_the_path(truth, 3)[1]
    images = ImagesOfOneState(truth, int(truth.conformation[row]), None, "white", 2, seed=0)
    one, again = images.read(np.array([row])), images.read(np.array([3, row]))[1:]
    np.testing.assert_array_equal(one, again)
    # What differs is the noise, drawn twice.
    difference = one - given.images.read(np.array([row]))
    assert difference.var() == pytest.approx(2 * truth.noise_variance, rel=0.2)


def test_pooled_asks_how_the_movies_were_made(run: Run, movies: Path, tmp_path: Path) -> None:
    lost = make_run(tmp_path / "run", movies)
    shutil.copytree(movies, tmp_path / "movies")
    (tmp_path / "movies" / "simulation.json").unlink()
    lost.update_config(input=tmp_path / "movies" / "movies.star")
    options = EvaluationOptions(frames=1, references=False, pooled=True)
    with pytest.raises(UserError, match=r"pooled reference needs .*simulation\.json"):
        evaluate(run.__class__.open(tmp_path / "run"), Truth.load(movies), tmp_path / "out", options)


def test_a_run_at_the_true_poses_needs_no_alignment(run: Run, movies: Path, tmp_path: Path) -> None:
    plain = EvaluationOptions(frames=5, references=False)
    before = evaluate(run, Truth.load(movies), tmp_path / "before", plain)
    after = evaluate(run, Truth.load(movies), tmp_path / "after", replace(plain, align=True))
    errors = after["alignment"]["pose_errors"]
    assert after["alignment"]["mirrored"] is False
    assert errors["percentile_90_rotation_in_degrees"] < 0.1
    assert errors["percentile_90_shift_in_angstroms"] < 0.1
    whole = [
        x["methods"]["run"]["whole"]["resolution_in_angstroms"]["mean_over_frames"] for x in (before, after)
    ]
    assert whole[1] == pytest.approx(whole[0], rel=0.03)
    assert "alignment" not in before
