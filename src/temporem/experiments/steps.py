"""Steps of a reproduction: commands whose folder is named by the hash of all that made it."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from temporem.experiments.code import code_digest
from temporem.experiments.declared import Arm, Catalogue, DataSet, Figure, Scale
from temporem.experiments.structures import Structures

__all__ = ["Kind", "Plan", "Step", "movies_of", "plan_figure", "readable"]

Kind = Literal["simulate", "derive", "reconstruct", "evaluate"]


@dataclass(frozen=True)
class Step:
    """One command; in its words `{0}`, `{1}` … are the folders of its inputs, `{out}` its own."""

    kind: Kind
    label: str
    """For people; not part of the hash."""
    words: tuple[str, ...]
    inputs: tuple["Step", ...] = ()
    files: tuple[tuple[str, str, str], ...] = ()
    """(placeholder, path, hash of what is in it) of files from outside."""

    @cached_property
    def key(self) -> str:
        """Hash of the words, the inputs, the files' contents and temporem's own code."""
        made_by = {
            "code": code_digest(),
            "kind": self.kind,
            "words": self.words,
            "inputs": [x.key for x in self.inputs],
            "files": [(name, digest) for name, _, digest in self.files],
        }
        return hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:12]

    @property
    def folder_name(self) -> str:
        """Of its folder in the cache."""
        return f"{self.kind}-{readable(self.label)}-{self.key}"

    def command(self, folder: Path) -> list[str]:
        """Words of `temporem`, its folders being those in the cache `folder`."""
        places = {str(i): str(folder / x.folder_name) for i, x in enumerate(self.inputs)}
        places |= {"out": str(folder / self.folder_name)} | {name: path for name, path, _ in self.files}
        return [_filled(word, places) for word in self.words]


@dataclass(frozen=True)
class Plan:
    """The steps behind one figure."""

    figure: Figure
    """With the comparisons that are made at this scale."""
    scale: Scale
    data: dict[tuple[str, int], Step]
    """(data set, seed) → the step that makes it."""
    runs: dict[tuple[str, str, int], Step]
    """(data set, arm, seed) → the step that evaluates it; external arms have none."""
    external: dict[str, str]
    """External arm → the program's name."""

    @property
    def steps(self) -> list[Step]:
        """All steps once each, inputs before what needs them."""
        ordered: dict[Step, None] = {}
        for step in (*self.data.values(), *self.runs.values()):
            _put(step, ordered)
        return list(ordered)


def plan_figure(figure: Figure, scale: Scale, catalogue: Catalogue, structures: Structures) -> Plan:
    """Everything to be computed for a figure; raises UserError where a structure file is missing."""
    made = tuple(x for x in figure.comparisons if x.scale in (None, scale.name))
    figure = replace(figure, comparisons=made)
    data: dict[tuple[str, int], Step] = {}
    runs: dict[tuple[str, str, int], Step] = {}
    for seed in scale.seeds:
        for compared in figure.comparisons:
            source = catalogue.data[compared.data]
            step = data.setdefault((source.name, seed), data_step(source, seed, scale, catalogue, structures))
            for name in compared.arms:
                arm = catalogue.arms[name]
                if arm.external is None:
                    runs[source.name, name, seed] = run_step(step, source, arm, seed, scale)
    external = {name: arm.external for name, arm in catalogue.arms.items() if arm.external is not None}
    return Plan(figure, scale, data, runs, external)


def data_step(source: DataSet, seed: int, scale: Scale, catalogue: Catalogue, structures: Structures) -> Step:
    """The movies, made with this seed, or derived from others of this seed."""
    label = f"{source.name}-s{seed}"
    if source.of is not None and source.derive is not None:
        before = data_step(catalogue.data[source.of], seed, scale, catalogue, structures)
        kind, value = source.derive
        places = (f"{{0}}/{movies_of(before)}", f"{{out}}/{readable(label)}")
        return Step("derive", label, (*places, kind, repr(value)), (before,))
    words = ["simulate", *source.simulate, "--seed", str(seed), *dict(source.scales).get(scale.name, ())]
    outside = []
    for option, pdb_id in source.structures:
        path, digest = structures.find(pdb_id)
        outside.append((pdb_id, path, digest))
        words += [option, f"{{{pdb_id}}}"]
    return Step("simulate", label, (*words, "-o", f"{{out}}/{readable(label)}"), files=tuple(outside))


def run_step(data: Step, source: DataSet, arm: Arm, seed: int, scale: Scale) -> Step:
    """An arm's evaluation, behind which stands its reconstruction."""
    label = f"{data.label}-{arm.name}"
    movies = movies_of(data)
    words = ("reconstruct", f"{{0}}/{movies}/movies.star", "-o", "{out}/run", "--seed", str(seed))
    size = ("--latent-dim", str(source.latent_dim))
    # The scale comes last: its schedule overrides that of an arm.
    schedule = scale.reconstruct if arm.has_networks else ()
    run = Step("reconstruct", label, (*words, *size, *arm.options, *schedule), (data,))
    words = ("evaluate", "{1}/run", "--truth", f"{{0}}/{movies}/truth", "-o", "{out}/evaluation")
    references = () if arm.references else ("--no-references",)
    return Step("evaluate", label, (*words, *scale.evaluate, *arm.evaluate, *references), (data, run))


def readable(label: str) -> str:
    """A label as a folder's name."""
    return "".join(x if x.isalnum() or x in "-." else "_" for x in label)


def movies_of(data: Step) -> str:
    """Folder of the movies in that of the step that made them; other programs name theirs by it."""
    return readable(data.label)


def _put(step: Step, ordered: dict[Step, None]) -> None:
    for before in step.inputs:
        _put(before, ordered)
    ordered.setdefault(step)


def _filled(word: str, places: dict[str, str]) -> str:
    for name, path in places.items():
        word = word.replace(f"{{{name}}}", path)
    return word
