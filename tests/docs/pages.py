"""A page of documentation as one bash script: its files written, its commands run, its output compared.

````
```console
$ warehouse run            a command; it must end with status 0, or with the status of a trailing `# exit 2`
19 assets, ...             a line that its output must hold: ... stands for anything, N for a number
```
```yaml
# recipes/sources/pages.yaml
uri: ...              a block whose first line is a comment that names a file is written there (SQL, data: without it)
```
````
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"(?:#|--|//) (?P<path>[\w./-]+\.\w+)\n(?P<rest>.*)", re.DOTALL)
KEPT = ("yaml", "python", "toml")
STATUS = re.compile(r"\s# exit (\d+)$")
FILES = ("yaml", "sql", "json", "jsonl", "csv", "python", "markdown", "toml")
MARK = "=====command====="


@dataclass
class Command:
    """A command of a page: its line there, its text, its status and the lines that its output must hold."""

    line: int
    text: str
    status: int = 0
    shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Write:
    """A file that the page gives."""

    path: str
    content: str


@dataclass(frozen=True)
class Done:
    """What a command did."""

    command: Command
    status: int
    output: str


def steps(page: Path) -> Iterator[Command | Write]:
    """What the page does, in order."""
    text = page.read_text("utf-8")
    for fence in FENCE.finditer(text):
        kind, body = fence["kind"], fence["body"]
        if kind == "console":
            yield from _commands(body, text.count("\n", 0, fence.start("body")) + 1)
        elif kind in FILES and (named := NAMED.match(body)):
            yield Write(named["path"], body if kind in KEPT else named["rest"])


def _commands(body: str, first: int) -> Iterator[Command]:
    found: list[Command] = []
    for number, line in enumerate(body.splitlines(), first):
        if line.startswith("$ "):
            status = STATUS.search(line)
            found.append(Command(number, STATUS.sub("", line[2:]), int(status[1]) if status else 0))
        elif line.startswith("> "):
            found[-1].text += "\n" + line[2:]
        elif line.strip():
            found[-1].shown.append(line)
    yield from found


def run(page: Path, folder: Path, binaries: Path, store: Mapping[str, str]) -> list[Done]:
    """Every command of the page run by one shell in an empty folder; ``binaries`` holds the command ``warehouse``,
    ``store`` what of the environment reaches a server of S3.
    """
    made = list(steps(page))
    path = os.pathsep.join([str(binaries), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("WAREHOUSE_", "DAGSTER_"))}
    environment = {**kept, **store, "PATH": path, "HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "1"}
    ended = subprocess.run(
        ["/bin/bash", "-c", "\n".join(map(_bash, made))],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    outputs = re.split(rf"\n?{MARK} (\d+)\n", ended.stdout)
    commands = [step for step in made if isinstance(step, Command)]
    return [
        Done(command, int(status), output)
        for command, output, status in zip(commands, outputs[0::2], outputs[1::2], strict=False)
    ]


def _bash(step: Command | Write) -> str:
    if isinstance(step, Write):
        return f"mkdir -p \"$(dirname '{step.path}')\"\ncat > '{step.path}' <<'END OF FILE'\n{step.content}END OF FILE"
    return f'{step.text}\nprintf "\\n{MARK} %d\\n" $?'


def pattern(shown: str) -> re.Pattern[str]:
    """A line of shown output as a pattern: ``...`` is anything, ``N`` a number, a space any white space."""
    escaped = re.escape(" ".join(shown.split())).replace(r"\.\.\.", ".*").replace(r"\ ", r"\s+")
    return re.compile(re.sub(r"\bN\b", r"[\\d,.]+", escaped))
