import copy
import shutil
from pathlib import Path

import pytest
import tiny

from temporem.errors import UserError
from temporem.experiments import steps as steps_module
from temporem.experiments import structures as structures_module
from temporem.experiments.declared import parse_catalogue
from temporem.experiments.steps import Plan, plan_figure
from temporem.experiments.structures import Structures
from temporem.simulation.downloads import UnavailableError


def plan(structures: Structures, scale: str = "small", **more: object) -> Plan:
    catalogue = tiny.catalogue()
    return plan_figure(tiny.figure(**more), catalogue.scales[scale], catalogue, structures)


def test_inputs_come_before_what_needs_them_and_nothing_twice(structures: Structures) -> None:
    steps = plan(structures, "paper").steps
    assert [x.kind for x in steps].count("simulate") == 2
    assert len(steps) == 2 * (1 + 2 * 2)
    for index, step in enumerate(steps):
        assert all(x in steps[:index] for x in step.inputs)
    assert len({x.folder_name for x in steps}) == len(steps)


def test_figures_share_equal_data_and_arms(structures: Structures) -> None:
    one = plan(structures, arms=("tempor", "cryodrgn"))
    two = plan(structures, arms=("longer", "cryodrgn"), title="Another")
    shared = {x.key for x in one.steps} & {x.key for x in two.steps}
    assert shared == {x.key for x in one.steps if "tempor" not in x.label}


def test_the_hash_is_of_what_is_in_the_files_not_of_their_names(
    structures: Structures, tmp_path: Path
) -> None:
    assert structures.folder is not None
    before = plan(structures).steps
    shutil.copy(structures.folder / "1PEP_helix.pdb", tmp_path / "1pep.pdb")
    assert [x.key for x in plan(Structures(tmp_path)).steps] == [x.key for x in before]
    (tmp_path / "1pep.pdb").write_text((tmp_path / "1pep.pdb").read_text() + "REMARK\n")
    assert not {x.key for x in plan(Structures(tmp_path)).steps} & {x.key for x in before}


def test_any_change_of_an_option_changes_all_that_follows_from_it(structures: Structures) -> None:
    before = {x.label + x.kind: x.key for x in plan(structures).steps}
    table = copy.deepcopy(tiny.TABLE)
    table["arms"]["cryodrgn"]["options"] += ["--beta", "0.5"]
    changed = parse_catalogue(table)
    after = plan_figure(tiny.figure(), changed.scales["small"], changed, structures).steps
    for step in after:
        assert (step.key == before[step.label + step.kind]) == ("cryodrgn" not in step.label)


def test_a_comparison_may_belong_to_one_scale(structures: Structures) -> None:
    arms = ["tempor", "cryodrgn"]
    both = [
        {"data": "peptide", "arms": arms, "title": "always"},
        {"data": "peptide shuffled", "arms": arms, "title": "large", "scale": "paper"},
    ]
    small, large = (plan(structures, scale, comparisons=both) for scale in ("small", "paper"))
    assert [x.title for x in small.figure.comparisons] == ["always"]
    assert [x.title for x in large.figure.comparisons] == ["always", "large"]
    assert {data for data, _ in small.data} == {"peptide"}
    assert {data for data, _ in large.data} == {"peptide", "peptide shuffled"}


def test_commands_name_the_folders_of_their_inputs(structures: Structures, tmp_path: Path) -> None:
    simulate, reconstruct, evaluate = plan(structures).steps[:3]
    assert str(structures.find("1pep")[0]) in simulate.command(tmp_path)
    assert str(tmp_path / simulate.folder_name / "peptide-s0" / "movies.star") in reconstruct.command(
        tmp_path
    )
    assert str(tmp_path / reconstruct.folder_name / "run") in evaluate.command(tmp_path)
    assert not any(
        "{" in word for step in (simulate, reconstruct, evaluate) for word in step.command(tmp_path)
    )


def test_the_schedule_of_the_scale_overrides_that_of_an_arm(structures: Structures) -> None:
    words = next(x for x in plan(structures, "paper").steps if x.kind == "reconstruct").words
    last = max(index for index, word in enumerate(words) if word == "--epochs")
    assert words[last + 1] == "4"


def test_an_arm_says_how_it_is_evaluated(structures: Structures) -> None:
    words = {
        x.label: x.words for x in plan(structures, arms=("hetem", "cryodrgn")).steps if x.kind == "evaluate"
    }
    assert {label.split("-")[-1]: "--align" in x for label, x in words.items()} == {
        "hetem": True,
        "cryodrgn": False,
    }


def test_the_schedule_of_the_scale_is_for_networks(structures: Structures) -> None:
    table = copy.deepcopy(tiny.TABLE)
    table["arms"]["cryodrgn"]["options"] = ["--generator", "deformable"]
    changed = parse_catalogue(table)
    steps = plan_figure(tiny.figure(), changed.scales["paper"], changed, structures).steps
    assert {"--epochs" in x.words for x in steps if "cryodrgn" in x.label} == {False}


def test_other_code_does_every_step_anew(structures: Structures, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {x.key for x in plan(structures).steps}
    monkeypatch.setattr(steps_module, "code_digest", lambda: "other code")
    assert not {x.key for x in plan(structures).steps} & before


@pytest.mark.parametrize(
    ("names", "said"), [([], "holds none"), (["1pep.pdb", "1PEP.cif.gz"], "1PEP.cif.gz, 1pep.pdb")]
)
def test_a_folder_must_hold_each_structure_once(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=f"must hold one file.*{said}"):
        Structures(tmp_path).find("1pep")
    with pytest.raises(UserError, match="no folder"):
        Structures(tmp_path / "nowhere").find("1pep")


def test_of_several_structures_the_first_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "2abc.pdb").write_text("x")
    assert Structures(tmp_path).find("1abc 2abc")[0].endswith("2abc.pdb")
    (tmp_path / "1abc.pdb").write_text("y")
    assert Structures(tmp_path).find("1abc 2abc")[0].endswith("1abc.pdb")
    with pytest.raises(UserError, match="begins with 4abc"):
        Structures(tmp_path).find("3abc 4abc")
    (tmp_path / "1ABC.cif").write_text("z")
    with pytest.raises(UserError, match="begins with 1abc"):
        Structures(tmp_path).find("1abc 2abc")


def test_without_a_network_the_folder_is_named_as_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(pdb_id: str) -> Path:
        raise UnavailableError(f"{pdb_id} could not be downloaded.")

    monkeypatch.setattr(structures_module, "download_structure", fail)
    with pytest.raises(UserError, match=r"could not be downloaded.*--structures"):
        Structures().find("1pep")
