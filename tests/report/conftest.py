from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import write_volume


class PretendRun(Run):
    """A run folder whose volumes are two balls, one of which moves with the first latent."""

    def generator(self, device: str = "cpu") -> "Balls":
        return Balls()

    def volumes(self, rows: Sequence[int], device: str = "cpu") -> Iterator[tuple[int, torch.Tensor]]:
        z = self.latents().set_index("image")["z1"]
        for row in rows:
            yield row, balls(float(z[row]))


class Balls(torch.nn.Module):
    def volumes(self, z: torch.Tensor) -> torch.Tensor:
        return torch.stack([balls(float(x[0])) for x in z])


def balls(z: float, n: int = 24) -> torch.Tensor:
    axis = torch.linspace(-1, 1, n)
    up, right = axis[:, None, None], axis[None, None, :]
    fixed = torch.exp(-((right + 0.3) ** 2 + axis[None, :, None] ** 2 + up**2) * 20)
    return fixed + torch.exp(-((right - 0.3) ** 2 + axis[None, :, None] ** 2 + (up - 0.4 * z) ** 2) * 20)


@pytest.fixture
def run(tmp_path: Path) -> PretendRun:
    run = PretendRun.create(
        tmp_path / "a run",
        {"input": Path("movies.star"), "pixel_size_in_angstroms": 3.0, "image_scale": 1.0, "box": None},
    )
    random = np.random.default_rng(0)
    lengths = (5, 9, 7)
    movie = np.repeat(["first", "second & last", "<third>"], lengths)
    frame = np.concatenate([np.arange(x) for x in lengths])
    count = len(frame)
    latents = {"image": np.arange(count), "movie": movie, "frame": frame, "time": frame.astype(float)}
    # The second movie travels most.
    latents["z1"] = np.where(movie == "second & last", frame / 4 - 1, 0.1 * random.normal(size=count))
    latents["z2"] = 0.2 * random.normal(size=count)
    latents |= {"sd1": np.full(count, 0.1), "sd2": np.full(count, 0.2)}
    pd.DataFrame(latents).to_csv(run.path / "latents.csv", index=False)
    write_volume(run.path / "mask.mrc", (balls(0.0) > 0.01).float(), 3.0)
    write_volume(run.path / "consensus.mrc", balls(0.0), 3.0)
    for step in range(20):
        stage = "baseline" if step < 10 else "temporal"
        run.append_metrics({"stage": stage, "step": step, "loss": 1 / (step + 1), "kl": 0.1 * step})
    return run
