import re
import subprocess
import sys
import time
import types

import pytest

from temporem.cli.main import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"temporem {verb}" in capsys.readouterr().out


def test_the_overview_names_every_verb_and_waits_for_no_heavy_import() -> None:
    code = (
        "import sys; from temporem.cli.main import main; main(['--help']);"
        "sys.exit(any(x in sys.modules for x in ('torch', 'numpy', 'pandas', 'tyro')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(verb in done.stdout for verb in VERBS)


def test_a_misspelt_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstuct"]) == 2
    assert "did you mean reconstruct?" in capsys.readouterr().err
    assert main(["fly"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("info", "Missing from temporem info: MOVIES"),
        ("evaluate run", "Missing from temporem evaluate: --truth PATH"),
        ("info movies.star --boxx 32", "--boxx, 32 (perhaps you meant --box {None}|INT)"),
        ("info movies.star --no-such-option", "--no-such-option"),
        ("info movies.star --box large", "Error parsing --box: .* ['large']"),
        ("reconstruct movies.star -o run --method magic", "'magic' for argument '--method'. Expected one of"),
        ("simulate 7bcq -o movies --frames 2.5", "Error parsing --frames: .* '2.5'"),
        ("simulate moon -o movies", "moon"),
    ],
)
def test_words_that_are_not_understood_end_in_one_sentence(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("temporem: ")
    assert re.search(re.escape(said).replace(r"\.\*", ".*"), sentence)
    assert sentence.endswith(f"; temporem {words.split()[0]} --help shows what it takes.")


def verb_that_raises(error: BaseException) -> types.ModuleType:
    def info(path: str) -> None:
        """Raise."""
        raise error

    module = types.ModuleType("temporem.cli.info")
    module.__dict__["info"] = info
    return module


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt("stopped; go on with --resume"), 130, "go on with --resume"),
        (OSError(28, "No space left on device", "x.mrc"), 2, "disk is full"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_failures_inside_a_verb_reach_the_shell(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "temporem.cli.info", verb_that_raises(error))
    assert main(["info", "--path", "x"]) == code
    assert words in capfd.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "temporem", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("temporem ")


def test_ctrl_c_that_falls_into_a_finaliser_still_stops_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class File:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def info() -> None:
        opened = File()
        del opened
        for _ in range(100):
            time.sleep(0.1)

    module = types.ModuleType("temporem.cli.info")
    module.__dict__["info"] = info
    monkeypatch.setitem(sys.modules, "temporem.cli.info", module)
    assert main(["info"]) == 130
    assert "Stopped" in capfd.readouterr().err
