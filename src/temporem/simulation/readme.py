"""What a folder of simulated movies says of itself."""

from collections.abc import Mapping
from typing import Any

from temporem.simulation.truth import Truth

__all__ = ["README", "readme"]

README = "README.md"

FILES = """
| file | what it is |
|---|---|
| `movies.star`, `movies.mrcs` | the images with poses and CTF, RELION 3.1 |
| `simulation.json` | every option they were made with |
| `truth/` | every frame's state and pose, and the atoms whose density `temporem evaluate` compares with |
"""
PATHS = {
    "steered": "{paths} of an elastic network, steered by RMSD from the first structure to the last",
    "morph": "a straight interpolation from the first structure to the last",
}
INTERPOLATION = (
    "The path is an interpolation, not equilibrium molecular dynamics: it has no energy landscape, its"
    " states have no populations and its speed no physical meaning."
)

PROGRESS = (
    "They were computed by others, and are superposed by their alpha carbons (by all atoms where there are"
    " fewer than four) and ordered by progress, not by time: the displacement of these atoms along their"
    " first principal component, from the end nearer to the first snapshot. `value` is this in Å, root mean"
    " square over the atoms, and `state` the same from 0 to 1; a category is an equal part of it, and holds"
    " conformations of like progress whenever they were visited. Every frame shows the snapshot nearest in"
    " progress."
)


def readme(options: Mapping[str, Any], truth: Truth) -> str:
    """Markdown: what was simulated, how it moves, how it was seen, and what it is not."""
    states = truth.states
    optics = "one defocus per movie" if options["microscope"]["ctf"] else "no CTF"
    shown = f"{states['movie'].nunique()} movies, {len(truth)} images of {truth.box_size} pixels"
    return "\n".join(
        (
            "# Simulated movies",
            "",
            f"{shown} at {truth.pixel_size_in_angstroms:g} Å, made by `temporem simulate`. {_told(options)}",
            "",
            _moved(options, truth),
            "",
            f"SNR {truth.snr:g} (variance of the clean images over that of the {options['noise']} noise, all "
            f"pixels); poses are known; {optics}; densities: {truth.density.method}; seed {options['seed']}.",
            FILES,
        )
    )


def _told(options: Mapping[str, Any]) -> str:
    molecule = options["molecule"]
    if "residue" in molecule:
        return (
            f"One molecule, {molecule['structure']}, of which {molecule['torsion']} of residue "
            f"{molecule['residue']} turns over {molecule['range_in_degrees']:g}°, all else rigid: "
            "a motion made up, not computed."
        )
    if "path" in molecule:
        count = molecule["paths"]
        path = PATHS[molecule["path"]].format(paths="a path" if count == 1 else f"{count} paths")
        return f"From {molecule['first']} to {molecule['last']} along {path}. {INTERPOLATION}"
    if "domains" in molecule:
        return (
            f"A molecule made up with seed {molecule['molecule_seed']}: a body of random helices at rest, and"
            f" domains of {molecule['residues']} residues about it, which {', '.join(molecule['domains'])}:"
            " nothing of it is found in nature."
        )
    if "topology" in molecule:
        return f"Conformations are snapshots of {', '.join(molecule['trajectories'])}. {PROGRESS}"
    return "Conformations are snapshots of a trajectory computed by others."


def _moved(options: Mapping[str, Any], truth: Truth) -> str:
    categories = truth.states["category"].nunique()
    conformations = truth.number_of_conformations
    start = (
        "Movies start in a random state and run either way (the twin): a frame's number tells nothing."
        if options["twin"]
        else "Movies start alike, so that a frame's number nearly tells the state (the clock trap)."
    )
    return f"{categories} categories, {conformations} conformations in all. {start}"
