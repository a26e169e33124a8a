"""How time and memory grow with the number of frames and with the box.

    python benchmarks/scaling.py [--until STEP] [--docs FILE] [FRAMESxBOX …]

For each pair, movies of ten frames of a swinging blob molecule with noise and CTF are written to a temporary
folder, read and fitted in a process of their own. The table has, per frame, the milliseconds of processor
time of each step (of all threads; `subspace` and `training` are one epoch's) and the peak of the memory:
`private` is what the process asked for, `resident` counts with it what the system keeps of mapped files as
long as nobody else wants the memory. The curves are drawn beside the page.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import mrcfile
import numpy as np
import page
import torch
from arms import markdown

from temporem.fitting.anchors import fit_anchors
from temporem.fitting.consensus import find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.generator_start import VolumesFound, start_generator
from temporem.fitting.options import FittingOptions
from temporem.fitting.subspace_fit import fit_subspace, start_subspace, subspace_radius
from temporem.fitting.trainer import Trainer
from temporem.fitting.warm_start import assemble
from temporem.model.subspace import LinearSubspace
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.movies.writing import write_movies_star
from temporem.physics.ctf import ContrastTransfer
from temporem.physics.rotations import random_rotations

CASES = ("1000x64", "10000x64", "1000x128", "200x256")
STEPS = ("prepare", "consensus", "subspace", "volumes", "training")
FIELD_IN_ANGSTROMS, SIGMA_IN_ANGSTROMS, SNR, FRAMES_PER_MOVIE, CHUNK = 192.0, 4.0, 0.1, 10, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="FRAMESxBOX")
    parser.add_argument("--until", choices=STEPS, default="training")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    page.add_option(parser)
    chosen = parser.parse_args()
    steps = STEPS[: STEPS.index(chosen.until) + 1]
    if chosen.one:
        print(json.dumps(measured(*map(int, chosen.cases[0].split("x")), steps)))
        return
    rows = []
    for case in chosen.cases:
        command = [sys.executable, __file__, case, "--one", "--until", chosen.until]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        row = json.loads(output.splitlines()[-1])
        frames, box = map(int, case.split("x"))
        rows.append({"frames": frames, "box": box, **row})
        print(rows[-1], flush=True)
    tables = table(rows, steps)
    if chosen.docs is not None:
        picture = chosen.docs.parent / "images" / "scaling.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw(rows, steps, picture)
        tables += f"\n![Cost of a frame by number of frames and by box](images/{picture.name})\n"
    page.publish(chosen.docs, "Scaling", __doc__, tables)


def table(rows: list[dict], steps: tuple[str, ...]) -> str:
    cells = [
        {"frames": f"{row['frames']:,}", "box": row["box"]}
        | {f"{step}, ms": f"{row[step]:.2f}" for step in steps}
        | {f"{kind}, GB": f"{row[kind]:.2f}" for kind in ("private", "resident")}
        for row in rows
    ]
    return markdown(cells)


def draw(rows: list[dict], steps: tuple[str, ...], path: Path) -> None:
    """Milliseconds of a frame, against the number of frames and against the pixels of one."""
    figure, (by_frames, by_box) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    of_64 = sorted((row for row in rows if row["box"] == 64), key=lambda row: row["frames"])
    fewest = [min((r for r in rows if r["box"] == box), key=lambda r: r["frames"]) for box in boxes(rows)]
    for step, marker in zip(steps, "osD^v", strict=False):
        by_frames.loglog([r["frames"] for r in of_64], [r[step] for r in of_64], marker=marker, label=step)
        by_box.loglog([r["box"] ** 2 for r in fewest], [r[step] for r in fewest], marker=marker, label=step)
    by_frames.set(xlabel="frames of 64 px", ylabel="processor ms a frame")
    least = min(r[step] for r in fewest for step in steps)
    areas = [boxes(rows)[0] ** 2, boxes(rows)[-1] ** 2]
    by_box.loglog(areas, [least, least * areas[1] / areas[0]], "k:", label="∝ pixels")
    # After the last curve, which would set ticks of its own.
    by_box.set(xlabel="pixels of a frame", xticks=[box**2 for box in boxes(rows)])
    by_box.set_xticklabels([f"{box}²" for box in boxes(rows)])
    by_box.minorticks_off()
    by_box.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def boxes(rows: list[dict]) -> list[int]:
    return sorted({row["box"] for row in rows})


def measured(frames: int, box: int, steps: tuple[str, ...]) -> dict[str, float]:
    memory = Memory()
    with tempfile.TemporaryDirectory(prefix="temporem-scaling-") as folder:
        state = write_movies(Path(folder), frames, box)
        took = fitted(Path(folder), state, steps)
    return {name: 1e3 * seconds / frames for name, seconds in took.items()} | memory.peaks()


def fitted(folder: Path, state: torch.Tensor, steps: tuple[str, ...]) -> dict[str, float]:
    """Seconds of the processor that each step took."""
    took: dict[str, float] = {}
    last = time.process_time()

    def done(step: str) -> bool:
        nonlocal last
        now = time.process_time()
        took[step], last = now - last, now
        return step == steps[-1]

    movies = read_movies(folder / "movies.star", ReadingOptions())
    store = FrameStore(
        movies, prepare_frames(movies, PreprocessingOptions(sign="bright")), torch.device("cpu")
    )
    if done("prepare"):
        return took
    consensus = find_consensus(store)
    if done("consensus"):
        return took
    options, generator = FittingOptions(latent_dim=8, epochs=2), torch.Generator().manual_seed(0)
    subspace = LinearSubspace(
        store.lattice.box_size,
        options.latent_dim,
        subspace_radius(store.lattice.box_size, store.pixel_size_in_angstroms),
    )
    start_subspace(subspace, consensus.volume, generator)
    fit_subspace(subspace, store, torch.full((options.latent_dim,), 5.0), 1, 0.1, generator, lambda _: None)
    subspace.requires_grad_(False)
    if done("subspace"):
        return took
    z = torch.zeros(len(store), options.latent_dim)
    z[:, 0] = state
    given = (consensus.volume, consensus.mask, consensus.signal_power, 0, lambda count, note: None)
    along = fit_anchors(store, z, torch.eye(options.latent_dim), *given).generator
    if done("volumes"):
        return took
    network = start_generator(options, VolumesFound(consensus, along), None)
    model = assemble(store, options, True, network)
    model.features.subspace.load_state_dict(subspace.state_dict())
    last = time.process_time()
    trainer = Trainer(model, store, options, 1, "temporal", folder / "checkpoints", generator)
    trainer.run(lambda record: None, lambda count, note: None)
    done("training")
    return took


def write_movies(folder: Path, frames: int, box: int) -> torch.Tensor:
    """Write `movies.mrcs` and `movies.star`; return the state of each frame."""
    generator = torch.Generator().manual_seed(0)
    pixel_size = FIELD_IN_ANGSTROMS / box
    state = torch.rand(frames // FRAMES_PER_MOVIE, 1, generator=generator)
    state = ((state + torch.arange(FRAMES_PER_MOVIE) / 20) % 1).flatten()
    rotation = random_rotations(len(state), generator).float()
    body = 22 * torch.randn(12, 3, generator=generator)
    angle = 2 * math.pi * state
    arm = torch.stack((angle.cos(), angle.sin(), 0 * angle), -1)[:, None] * torch.tensor([[35.0], [45.0]])
    axis = (torch.arange(box) - box // 2) * pixel_size
    with mrcfile.new_mmap(folder / "movies.mrcs", (len(state), box, box), mrc_mode=2) as file:
        file.set_image_stack()
        file.voxel_size = pixel_size
        for rows in torch.split(torch.arange(len(state)), CHUNK):
            atoms = torch.cat((body.expand(len(rows), -1, -1), arm[rows]), 1)
            turned = torch.einsum("fij,faj->fai", rotation[rows], atoms)
            x, y = (
                torch.exp(-((axis - turned[..., i, None]) ** 2) / (2 * SIGMA_IN_ANGSTROMS**2)) for i in (0, 1)
            )
            clean = torch.einsum("fay,fax->fyx", y, x)
            # The same blobs, the same noise in each Fourier coefficient of the same field of view.
            sd = box / 64 * 0.15 / math.sqrt(SNR)
            noisy = clean + sd * torch.randn(clean.shape, generator=generator)
            file.data[int(rows[0]) : int(rows[-1]) + 1] = noisy.numpy()
    one = torch.ones(len(state))
    defocus = 8_000 + 8_000 * torch.rand(len(state), generator=generator)
    number = np.arange(len(state))
    movies = MovieSet(
        images=StackImages.all_of([open_stack(folder / "movies.mrcs")]),
        pixel_size_in_angstroms=pixel_size,
        movie_ids=tuple(f"movie{i:06d}" for i in range(len(state) // FRAMES_PER_MOVIE)),
        movie=number // FRAMES_PER_MOVIE,
        frame=number % FRAMES_PER_MOVIE,
        time=number % FRAMES_PER_MOVIE * 1.0,
        rotation=rotation.numpy(),
        translation_in_angstroms=np.zeros((len(state), 2)),
        contrast_transfer=ContrastTransfer(
            defocus, defocus, 0 * one, 300 * one, 2.7 * one, 0.1 * one, 0 * one, 0 * one
        ),
    )
    write_movies_star(folder / "movies.star", movies, [f"{row + 1:06d}@movies.mrcs" for row in number])
    return state


class Memory:
    """Watches this process (Linux)."""

    def __init__(self) -> None:
        self._private = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            for text in Path("/proc/self/status").read_text().splitlines():
                if text.startswith("RssAnon:"):
                    self._private = max(self._private, float(text.split()[1]) / 1e6)
            time.sleep(0.05)

    def peaks(self) -> dict[str, float]:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        return {"private": self._private, "resident": resident}


if __name__ == "__main__":
    main()
