"""The one exception for what a user can mend."""

__all__ = ["UserError"]


class UserError(Exception):
    """A mistake in the input or the call; its text is one sentence: what is wrong, where, and what to do."""
