import copy
from itertools import pairwise
from typing import Any

import pytest
import tiny

from temporem.errors import UserError
from temporem.evaluation.evaluate import EvaluationOptions
from temporem.experiments.declared import (
    figure_names,
    parse_catalogue,
    parse_figure,
    read_catalogue,
    read_claims,
    read_figure,
)
from temporem.fitting.options import FittingOptions
from temporem.simulation.derived import DERIVATIONS
from temporem.simulation.recipes import RECIPES

IN_THE_PAPER = ["fig3", "fig4", "fig5", "fig6", "fig7", "fig8", "fig9a", "fig9b", "fig9c", "fig10"]


def test_every_figure_of_the_paper_is_declared() -> None:
    assert figure_names() == [*IN_THE_PAPER, "ablations", "seeds", "twins"]
    catalogue = read_catalogue()
    for name in figure_names():
        figure = read_figure(name, catalogue)
        assert figure.comparisons
        assert all(len(x.arms) >= 2 for x in figure.comparisons)
        if "trend" in figure.panels:
            assert figure.axis
            on_it = [x for x in figure.comparisons if x.at is not None]
            assert len({x.at for x in on_it}) > 1
            assert all(len(x.arms) == len(figure.lines) for x in on_it)


def test_what_is_declared_exists() -> None:
    catalogue = read_catalogue()
    for source in catalogue.data.values():
        if source.of is None:
            assert source.simulate[0] in RECIPES
        else:
            assert source.of in catalogue.data
            assert source.derive is not None
            assert source.derive[0] in DERIVATIONS
    for arm in catalogue.arms.values():
        for words, options in ((arm.options, FittingOptions()), (arm.evaluate, EvaluationOptions())):
            for word in words:
                if word.startswith("--"):
                    assert word.removeprefix("--").removeprefix("no-").replace("-", "_") in vars(options), (
                        word
                    )


def test_every_arm_says_what_makes_its_volumes() -> None:
    for arm in read_catalogue().arms.values():
        if arm.external is None:
            kind = arm.options[arm.options.index("--generator") + 1]
            assert kind == ("fourier" if arm.has_networks else "deformable"), arm.name


def test_arms_are_brought_together_with_the_truth_where_their_poses_are_their_own() -> None:
    for arm in read_catalogue().arms.values():
        own = bool({"hetem", "--pose-network", "estimate"} & set(arm.options))
        assert ("--align" in arm.evaluate) == own, arm.name


def test_an_arm_like_another_has_its_options_and_more() -> None:
    table = copy.deepcopy(tiny.TABLE)
    table["arms"]["wide"] = {"like": "tempor", "options": ["--width", "16"]}
    arms = parse_catalogue(table).arms
    assert arms["wide"].options == (*arms["tempor"].options, "--width", "16")
    assert not arms["wide"].references
    table["arms"]["wide"] = {"like": "hetem"}
    assert parse_catalogue(table).arms["wide"].evaluate == ("--align",)
    table["arms"]["lost"] = {"like": "nothing"}
    with pytest.raises(UserError, match="lost's pattern 'nothing'"):
        parse_catalogue(table)


def test_every_claim_is_of_a_declared_comparison() -> None:
    catalogue = read_catalogue()
    for claim in read_claims():
        titles = {x.title for x in read_figure(claim.figure, catalogue).comparisons}
        assert set(claim.comparisons) <= titles


def test_the_arms_of_a_comparison_have_one_schedule() -> None:
    catalogue = read_catalogue()

    def epochs(arm: str) -> str | None:
        words = catalogue.arms[arm].options
        given = [after for word, after in pairwise(words) if word == "--epochs"]
        return given[-1] if given else None

    for name in figure_names():
        for compared in read_figure(name, catalogue).comparisons:
            networks = [x for x in compared.arms if catalogue.arms[x].has_networks]
            assert len({epochs(arm) for arm in networks}) <= 1, (name, compared.title)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"comparisons": [{"data": "moon", "arms": ["tempor", "cryodrgn"]}]}, "data set 'moon'"),
        ({"comparisons": [{"data": "peptide", "arms": ["tempor", "guess"]}]}, "arm 'guess'"),
        (
            {"comparisons": [{"data": ["peptide", "peptide shuffled"], "arms": ["tempor"], "title": "same"}]},
            "one title",
        ),
        ({"panels": ["song"]}, "panel 'song'"),
        ({"comparisons": [{"data": "peptide", "arms": ["tempor"], "scale": "huge"}]}, "scale 'huge'"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(change: dict[str, Any], said: str) -> None:
    table = {
        "title": "t",
        "paper": "p",
        "panels": ["fsc"],
        "comparisons": [{"data": "peptide", "arms": ["tempor", "cryodrgn"]}],
    }
    parse_figure("figure", table, tiny.catalogue())
    with pytest.raises(UserError, match=said):
        parse_figure("figure", table | change, tiny.catalogue())


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(UserError, match="no figure 'fig2'"):
        read_figure("fig2", read_catalogue())
