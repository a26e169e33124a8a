"""docs/benchmarks.md, a section of it for each benchmark, written by the benchmark itself.

With `--docs docs/benchmarks.md` a benchmark puts what it printed under a heading of its own, with the
command, the code, the machine and the day; sections of other benchmarks stay as they are.
"""

import argparse
import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from temporem.experiments.code import code_digest
from temporem.files import write_text

TOP = "# Benchmarks\n\nEach section is written by the command in it.\n"


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the section into this page")


def parser_of(doc: str) -> argparse.ArgumentParser:
    """Of a benchmark `OUT SIMULATION [SIMULATION …] [--docs FILE]` whose docstring that is."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("simulations", type=Path, nargs="+", metavar="SIMULATION")
    add_option(parser)
    return parser


def publish(docs: Path | None, heading: str, doc: str, tables: str) -> None:
    """Print a section, and put it into the page in the place of the one before.

    It has what the docstring `doc` says after its title and usage, and the tables.
    """
    text = f"{doc.split(chr(10) * 2, 2)[2].strip()}\n\n{tables}"
    print(text, flush=True)
    if docs is None:
        return
    page = docs.read_text(encoding="utf-8") if docs.exists() else TOP
    section = (
        f"## {heading}\n\n<!-- test: parse -->\n```sh\n{command()}\n```\n\n{machine()}\n\n{text.strip()}\n\n"
    )
    # From its heading to the next one of that level, or to the end.
    old = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    page, replaced = old.subn(lambda _: section, page)
    write_text(docs, (page if replaced else f"{page.rstrip()}\n\n{section}").rstrip() + "\n")


def command() -> str:
    """As it was given, folders by their names alone."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def machine() -> str:
    """What computed, and when."""
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    return (
        f"{datetime.now(UTC):%-d %B %Y}; {processor()}, {os.cpu_count()} cores, threads of each process:"
        f" {threads}; torch {version('torch')}; code {code_digest()[:12]}."
    )


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor()
