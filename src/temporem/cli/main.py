"""`temporem VERB …`: choose the verb, run it, and end every failure in one sentence."""

import _thread
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module

from temporem.cli.failures import MENDABLE, explain

__all__ = ["main"]

VERBS = {
    "simulate": "make movies whose answer is known",
    "info": "show what is in a file of movies, and what would be done with it",
    "reconstruct": "recover the volume of every frame of every movie",
    "apply": "find the states of new movies under a finished model",
    "volumes": "write volumes of a run as MRC, OME-Zarr, GIF or MP4, with a ChimeraX script",
    "export": "write selected frames with their latents as STAR, CSV and .cs",
    "evaluate": "compare a run with the truth of simulated movies",
    "halves": "fit two halves of a run's movies apart: a resolution without a truth",
    "compare": "compare evaluated runs with each other",
    "reproduce": "compute and draw the figures of the paper",
    "kinetics": "find states along the latents, their dwell times and rates",
    "motion": "show what moves: arrows, amplitudes and rigid parts, for ChimeraX",
    "fit": "carry an atomic model along the motion",
    "view": "explore runs in the browser: states, volumes, paths, selections",
    "demo": "simulate, reconstruct, evaluate, and leave a page to look at",
}


AFTER_FINALISER_IN_SECONDS = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to those of the process.

    0: done. 2: a mistake the person can mend. 130: Ctrl-C. 1: a mistake of ours, kept in a log.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _no_interrupt_lost():
            return _dispatch(words)
    except SystemExit as exit_:
        # The parser leaves this way, after printing its help or what it could not parse.
        return exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else MENDABLE
    except BrokenPipeError:
        # Whoever read our output has gone (`temporem info … | head`): nothing to say, and nowhere to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        sentence, code = explain(error)
        print(f"temporem: {sentence}", file=sys.stderr)
        return code


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Send Ctrl-C again where it fell into a finaliser, such as a file's, out of which nothing is raised."""
    before = sys.unraisablehook

    def hook(fallen: "sys.UnraisableHookArgs") -> None:
        if issubclass(fallen.exc_type, KeyboardInterrupt):
            threading.Timer(AFTER_FINALISER_IN_SECONDS, _thread.interrupt_main).start()
        else:
            before(fallen)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        from temporem import __version__

        print(f"temporem {__version__}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        near = get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(VERBS)}."
        print(f"temporem: there is no command {verb!r}; {hint}", file=sys.stderr)
        return MENDABLE
    # Threads that spin while they wait slow everything else on the machine. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Only the verb asked for is imported: `temporem --help` must not wait for torch.
    from temporem.cli.words import understood

    command = getattr(import_module(f"temporem.cli.{verb}"), verb)
    understood(command, rest, f"temporem {verb}")()
    return 0


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {purpose}" for verb, purpose in VERBS.items()]
    return "\n".join(
        (
            "usage: temporem COMMAND …   (temporem COMMAND --help shows its options)",
            "",
            "Recover a molecule's 3D motion from liquid-phase electron microscopy movies.",
            "",
            *lines,
        )
    )
