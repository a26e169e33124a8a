"""What is asked of an analysis of kinetics."""

from dataclasses import dataclass

from temporem.errors import UserError
from temporem.seeds import check_seed

__all__ = ["KineticsOptions"]


@dataclass(frozen=True)
class KineticsOptions:
    """How many states are sought, and how the intervals are made."""

    states: int | None = None
    """Number of states; by default the smallest whose held-out likelihood is as good as the best."""
    most_states: int = 5
    """Largest number of states tried."""
    replicates: int = 200
    """Data sets drawn from the movies for the intervals of the rates."""
    seed: int = 0
    """Of the starts, the folds and the draws."""

    def check(self) -> None:
        """Raise UserError for numbers from which nothing can be made."""
        rules = {
            "states must be at least 1": self.states is None or self.states >= 1,
            "most-states must be at least 1": self.most_states >= 1,
            "replicates must be at least 20": self.replicates >= 20,
        }
        for rule, holds in rules.items():
            if not holds:
                raise UserError(f"the kinetics asked for cannot be made: {rule}.")
        check_seed(self.seed)
