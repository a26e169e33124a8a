"""The code blocks of the README and of every page of the documentation."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"(?:^<!-- test: (?P<how>\w+) -->\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    kind: str
    """sh, python, or nothing."""
    how: str
    """run, or what a comment above the block says: parse (its commands are looked at only), demo."""
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def commands(self) -> list[list[str]]:
        """Every call of temporem in it, as words; what the shell would substitute is one word."""
        joined = re.sub(r"\\\n", " ", self.code)
        joined = re.sub(r'"\$\(.*?\)"', "SUBSTITUTED", joined)
        joined = re.sub(r"\$\w+", "1", joined)
        lines = [line.strip() for line in joined.splitlines()]
        called = [line for line in lines if line.startswith("temporem ")]
        return [filled(shlex.split(line, comments=True)[1:]) for line in called]


def filled(words: list[str]) -> list[str]:
    """With a number where one is to be filled in."""
    return ["1" if word == "N" else word for word in words]


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text[: match.start("code")].count("\n") + 1
            found.append(Block(page, line, match["kind"], match["how"] or "run", match["code"]))
    return found


def inline_commands() -> list[tuple[str, list[str]]]:
    """Calls of temporem with options in running text and tables, in single back quotes."""
    found = []
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for match in re.finditer(r"`(temporem [^`]+)`", prose):
            found.append((f"{page.name}: {match[1]}", filled(shlex.split(match[1])[1:])))
    return found
