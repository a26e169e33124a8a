"""`temporem simulate`: movies whose answer is known."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import CascadeSubcommandArgs, OmitArgPrefixes, OmitSubcommandPrefixes, arg, configure
from tyro.extras import subcommand_type_from_defaults

from temporem.simulation.options import SimulationOptions
from temporem.simulation.recipes import GENERAL, RECIPES
from temporem.simulation.simulate import simulate as make

__all__ = ["simulate"]

if TYPE_CHECKING:
    Recipe = SimulationOptions
else:
    _NAMED = {**RECIPES, **GENERAL}
    Recipe = subcommand_type_from_defaults(
        {name: options for name, (_, options) in _NAMED.items()},
        {name: purpose for name, (purpose, _) in _NAMED.items()},
    )


@configure(OmitSubcommandPrefixes, OmitArgPrefixes)
def simulate(
    recipe: Recipe,
    output: CascadeSubcommandArgs[Annotated[Path, arg(aliases=["-o"])]],
) -> None:
    """Make movies whose answer is known: `movies.star`, `movies.mrcs`, and the truth beside them.

    Args:
        recipe: A named simulation; every number of it can be changed.
        output: The folder to make.
    """
    make(recipe, output)
    print(f"The movies are {output / 'movies.star'}, their truth is {output / 'truth'}")
