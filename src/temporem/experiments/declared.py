"""What a figure is made of, as declared in TOML: data sets, arms, scales and comparisons."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, get_args

from temporem.errors import UserError

__all__ = [
    "Arm",
    "Catalogue",
    "Claim",
    "Compared",
    "DataSet",
    "Figure",
    "Panel",
    "Scale",
    "figure_names",
    "read_catalogue",
    "read_claims",
    "read_figure",
]

Words = tuple[str, ...]
Panel = Literal["volumes", "fsc", "resolution", "improvement", "latents", "trend"]
FIGURES = files("temporem.experiments") / "figures"
OF_COMMANDS = ("options", "evaluate")
"""Words of an arm that one `like` it has too."""


@dataclass(frozen=True)
class DataSet:
    """Movies whose answer is known, made by `temporem simulate` or derived from another data set."""

    name: str
    latent_dim: int
    simulate: Words = ()
    """The recipe and its options."""
    structures: tuple[tuple[str, str], ...] = ()
    """Option of `simulate` → PDB ids, the first that can be had."""
    scales: tuple[tuple[str, Words], ...] = ()
    """Scale → more options."""
    of: str | None = None
    """The data set this one is derived from."""
    derive: tuple[str, float] | None = None
    """How, and the value (see `temporem.simulation.derived`)."""


@dataclass(frozen=True)
class Arm:
    """One way to reconstruct a data set."""

    name: str
    options: Words = ()
    """Of `temporem reconstruct`."""
    evaluate: Words = ()
    """Of `temporem evaluate`."""
    references: bool = False
    """Evaluate `consensus`, `clock` and `oracle` beside it."""
    external: str | None = None
    """Another program, whose evaluation a person brings."""

    @property
    def has_networks(self) -> bool:
        """Whether the schedule of a scale means anything to it."""
        return self.external is None and "deformable" not in self.options


@dataclass(frozen=True)
class Scale:
    """How large a reproduction is."""

    name: str
    seeds: tuple[int, ...]
    reconstruct: Words
    """More options of arms with networks."""
    evaluate: Words


@dataclass(frozen=True)
class Catalogue:
    """All data sets, arms and scales by name."""

    data: Mapping[str, DataSet]
    arms: Mapping[str, Arm]
    scales: Mapping[str, Scale]


@dataclass(frozen=True)
class Compared:
    """Arms beside each other on one data set; the last is the baseline of the improvement (Eq. 16)."""

    data: str
    arms: Words
    title: str
    at: float | None = None
    """Where on the axis of the panel `trend`."""
    group: str = ""
    """Which of the lines there; one dash pattern each."""
    scale: str | None = None
    """The only scale it is made at."""


@dataclass(frozen=True)
class Figure:
    """One figure of the paper, or of what we add."""

    name: str
    title: str
    paper: str
    """What the paper shows there."""
    comparisons: tuple[Compared, ...]
    panels: tuple[Panel, ...]
    axis: str | None = None
    """What `at` counts."""
    lines: Words = ()
    """Names of the arms by position, in the panel `trend`."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and how it is measured here."""

    text: str
    figure: str
    measure: Literal["improvement", "better", "rising", "latents", "null"]
    comparisons: Words
    """Titles of comparisons of the figure."""
    fraction: float | None = None
    """Of frames improved, in the paper."""
    percent: float | None = None
    """Mean improvement (Eq. 16): the paper's, or the least that is asked of ours."""
    angstroms: float | None = None
    """Mean difference, in the paper; judged where there is no percentage."""
    why: str = ""
    """Said where it does not hold."""


def figure_names() -> list[str]:
    """All figures that can be reproduced, in their order."""
    names = [x.name.removesuffix(".toml") for x in FIGURES.iterdir() if x.name.endswith(".toml")]
    return sorted(names, key=lambda name: (not name.startswith("fig"), _with_long_numbers(name)))


def read_figure(name: str, catalogue: Catalogue) -> Figure:
    """The declaration of one figure; raises UserError for an unknown name or arm."""
    if name not in figure_names():
        raise UserError(f"there is no figure {name!r}: choose one of {', '.join(figure_names())}.")
    return parse_figure(
        name, tomllib.loads((FIGURES / f"{name}.toml").read_text(encoding="utf-8")), catalogue
    )


def parse_figure(name: str, table: Mapping[str, Any], catalogue: Catalogue) -> Figure:
    """A figure from its table; raises UserError for names the catalogue does not have."""
    comparisons = tuple(
        Compared(
            data,
            tuple(x["arms"]),
            x.get("title", data).format(data=data),
            float(x["at"]) if "at" in x else None,
            x.get("group", ""),
            x.get("scale"),
        )
        for x in table["comparisons"]
        for data in _listed(x["data"])
    )
    for x in comparisons:
        _require(x.data, catalogue.data, f"{name}'s data set")
        if x.scale is not None:
            _require(x.scale, catalogue.scales, f"{name}'s scale")
        for arm in x.arms:
            _require(arm, catalogue.arms, f"{name}'s arm")
    titles = [x.title for x in comparisons]
    if len(set(titles)) < len(titles):
        raise UserError(f"two comparisons of {name} have one title: give each its own.")
    for panel in table["panels"]:
        _require(panel, get_args(Panel), f"{name}'s panel")
    return Figure(
        name=name,
        title=table["title"],
        paper=table["paper"],
        comparisons=comparisons,
        panels=tuple(table["panels"]),
        axis=table.get("axis"),
        lines=tuple(table.get("lines", ())),
    )


def read_catalogue() -> Catalogue:
    """The data sets, arms and scales that all figures share."""
    return parse_catalogue(tomllib.loads(_text("catalogue.toml")))


def parse_catalogue(table: Mapping[str, Any]) -> Catalogue:
    """A catalogue from its table; raises UserError for an arm like one that was not declared before it."""
    data = {name: _data_set(name, x) for name, x in table["data"].items()}
    arms: dict[str, Arm] = {}
    for name, x in table["arms"].items():
        arms[name] = _arm(name, x, arms)
    scales = {
        name: Scale(name, tuple(x["seeds"]), tuple(x["reconstruct"]), tuple(x["evaluate"]))
        for name, x in table["scales"].items()
    }
    return Catalogue(data, arms, scales)


def read_claims() -> list[Claim]:
    """The paper's claims."""
    table = tomllib.loads(_text("claims.toml"))
    return [Claim(**_words(x, "comparisons")) for x in table["claims"]]


def _data_set(name: str, table: Mapping[str, Any]) -> DataSet:
    derive = next(iter(table.get("derive", {}).items()), None)
    return DataSet(
        name=name,
        latent_dim=table["latent_dim"],
        simulate=tuple(table.get("simulate", ())),
        structures=tuple(table.get("structures", {}).items()),
        scales=tuple((scale, tuple(words)) for scale, words in table.get("scales", {}).items()),
        of=table.get("of"),
        derive=None if derive is None else (derive[0], float(derive[1])),
    )


def _arm(name: str, table: Mapping[str, Any], before: Mapping[str, Arm]) -> Arm:
    own = _words(table, *OF_COMMANDS)
    if "like" not in own:
        return Arm(name, **own)
    other = own.pop("like")
    _require(other, before, f"{name}'s pattern")
    return Arm(name, **own | {x: getattr(before[other], x) + own.get(x, ()) for x in OF_COMMANDS})


def _words(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: tuple(value) if key in names else value for key, value in table.items()}


def _with_long_numbers(name: str) -> str:
    """A name that sorts by the value of its numbers: fig9a before fig10."""
    return re.sub(r"\d+", lambda found: found[0].zfill(3), name)


def _listed(value: str | Sequence[str]) -> Iterator[str]:
    yield from [value] if isinstance(value, str) else value


def _require(name: str, known: Mapping[str, Any] | Sequence[str], what: str) -> None:
    if name not in known:
        raise UserError(f"{what} {name!r} is not declared: choose one of {', '.join(known)}.")


def _text(name: str) -> str:
    return (files("temporem.experiments") / name).read_text(encoding="utf-8")
