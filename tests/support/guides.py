"""The documents as programs: their commands, what they promise to print, and whether that is what came out.

In a guide, a block of ``sh`` is run, a line at a time, in one shell. A block of ``json`` or ``text`` right below it
shows what its last command prints. A command that is meant to fail says so behind it, ``# 404``.

Shown output is trimmed: ``…`` stands for anything, as an item of a list or an object for all that follow or are left
out, and inside a text for any part of it. Whatever else is shown has to be there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_STATUS = re.compile(r"\s+# ([1-5]\d\d)$")
_ELLIPSIS = re.compile(r",?\s*…")
_REQUEST_TIMEOUT_S = 10
_SHELL_TIMEOUT_S = 240.0


class Command(NamedTuple):
    """A line to run, the HTTP status it should get, and the output shown below it with its language."""

    line: str
    status: int
    language: str = ""
    shown: str = ""


class Outcome(NamedTuple):
    """What a command did: exit code, status of its last request (0 without one), output, and what it complained of."""

    code: int
    status: int
    output: str
    errors: str


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [text for name, text in _BLOCK.findall(document.read_text()) if name == language]


def commands(document: Path) -> list[Command]:
    """The commands of a guide in their order, each with the output shown for it."""
    text = document.read_text()
    found: list[Command] = []
    end = -1
    for block in _BLOCK.finditer(text):
        language, body = block.groups()
        if language == "sh":
            lines = body.replace("\\\n", " ").splitlines()
            found += [_command(line) for line in lines if line and not line.startswith("#")]
            end = block.end()
        elif language in {"json", "text"} and text[end : block.start()].strip() == "" and found:
            found[-1] = found[-1]._replace(language=language, shown=body)
    return found


def run(lines: Sequence[str], directory: Path, environ: Mapping[str, str], host: str) -> list[Outcome]:
    """Run lines one after another in one shell that talks to ``host`` wherever a line says ``localhost:8000``.

    What a guide takes from ``.venv/bin`` is taken from where these tests run.
    """
    programs = Path(sys.executable).parent
    # curl tells each status on standard error; nothing else of a command is changed.
    script = [f"curl() {{ command curl -m {_REQUEST_TIMEOUT_S} -w '%{{stderr}}\\nHTTP %{{http_code}}\\n' \"$@\"; }}"]
    script.append("set -o pipefail")
    for number, line in enumerate(lines):
        there = line.replace("localhost:8000", host).replace(".venv/bin/", f"{programs}/")
        script.append(f"{{ {there}\n}} >{number}.out 2>{number}.err </dev/null")
        script.append(f"echo $? >{number}.code")
    (directory / "guide.sh").write_text("\n".join(script))
    subprocess.run(
        ["bash", "guide.sh"],
        cwd=directory,
        env={"PATH": f"{programs}:{os.environ['PATH']}", **environ},
        timeout=_SHELL_TIMEOUT_S,
        check=True,
    )
    return [_outcome(directory, number) for number in range(len(lines))]


def differences(shown: Any, real: Any, place: str = "$") -> list[str]:
    """Where a real value does not have what is shown; empty if it has it all."""
    if isinstance(shown, dict) and isinstance(real, dict):
        missing = [f"{place}.{key}: missing" for key in shown if key not in real]
        both = [key for key in shown if key in real]
        return missing + [fault for key in both for fault in differences(shown[key], real[key], f"{place}.{key}")]
    if isinstance(shown, list) and isinstance(real, list):
        if len(shown) > len(real):
            return [f"{place}: {len(real)} items, {len(shown)} shown"]
        pairs = enumerate(zip(shown, real, strict=False))
        return [fault for n, (one, other) in pairs for fault in differences(one, other, f"{place}[{n}]")]
    return [] if _alike(shown, real) else [f"{place}: {real!r}, {shown!r} shown"]


def read_trimmed(shown: str) -> Any:
    """The value of a JSON text in which ``…`` stands for items left out."""
    strings = re.split(r'("(?:[^"\\]|\\.)*")', shown)
    whole = "".join(part if n % 2 else _ELLIPSIS.sub("", part) for n, part in enumerate(strings))
    return json.loads(whole, parse_float=Decimal)


def lines_missing(shown: str, real: str) -> list[str]:
    """Lines of a shown text that no line of the real one is like; names of headers in any case."""
    lines = real.replace("\r", "").splitlines()
    wanted = [line for line in shown.splitlines() if line.strip() not in {"", "…"}]
    return [line for line in wanted if not any(_like(line, candidate, re.IGNORECASE) for candidate in lines)]


def _command(line: str) -> Command:
    status = _STATUS.search(line)
    return Command(line[: status.start()], int(status[1])) if status else Command(line, 200)


def _outcome(directory: Path, number: int) -> Outcome:
    code, output, errors = ((directory / f"{number}.{kind}").read_bytes() for kind in ("code", "out", "err"))
    told = errors.decode(errors="replace")
    statuses = re.findall(r"^HTTP (\d{3})$", told, re.MULTILINE)
    return Outcome(int(code), int(statuses[-1]) if statuses else 0, output.decode(errors="replace"), told)


def _alike(shown: Any, real: Any) -> bool:
    if isinstance(shown, str) and isinstance(real, str):
        return _like(shown, real)
    if isinstance(shown, Decimal):
        # As many decimals as are shown have to be right.
        return isinstance(real, float) and Decimal(repr(real)).quantize(shown) == shown
    return bool(shown == real) and type(shown) is type(real)


def _like(shown: str, real: str, flags: int = 0) -> bool:
    pattern = ".*".join(map(re.escape, shown.rstrip().split("…")))
    return re.fullmatch(pattern, real.rstrip(), re.DOTALL | flags) is not None
