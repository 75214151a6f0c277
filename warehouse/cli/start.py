"""``warehouse init``: a project with a first source and a first data set, and no Python package in it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from warehouse.errors import UsageError

TEMPLATE = Path(__file__).parent / "template"
RENAMED = {"gitignore": ".gitignore"}


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".")
def init_verb(directory: str) -> None:
    """A new project in DIR, with a first source and a first data set.

    \b
    Example:
      warehouse init notes && cd notes && warehouse run
    """
    target = Path(directory)
    made = _contents()
    _refuse_overwrite(target, made)
    _write(target, made)
    click.echo(f"Made a project in {target.resolve()}:")
    for name in made:
        click.echo(f"  {name}")
    _say_next(directory)


def _write(target: Path, made: Mapping[str, bytes]) -> None:
    """All the files or, on a full disk, none."""
    try:
        for name, content in made.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)
    except BaseException:
        for name in made:
            with suppress(OSError):
                (target / name).unlink()
        raise


def _contents() -> dict[str, bytes]:
    """The files of a new project by their relative path."""
    files = sorted(path for path in TEMPLATE.rglob("*") if path.is_file())
    names = [path.relative_to(TEMPLATE).as_posix() for path in files]
    return {RENAMED.get(name, name): path.read_bytes() for name, path in zip(names, files, strict=True)}


def _refuse_overwrite(target: Path, made: dict[str, bytes]) -> None:
    nearest = next(path for path in (target.absolute(), *target.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"{nearest} is not a folder", allowed="a folder, or a name that is free")
    present = [name for name in made if (target / name).exists()]
    if present:
        raise UsageError(
            f"{target / present[0]} exists already, and nothing is overwritten",
            do="name another folder, or move that file away",
        )


def _say_next(directory: str) -> None:
    enter = "" if directory == "." else f"cd {directory} && "
    click.echo("Next:")
    click.echo(f"  {enter}warehouse run")
    click.echo(
        '  warehouse sql "SELECT rule_set, kept, reason, count(*) FROM curation.decisions GROUP BY ALL ORDER BY ALL"'
    )
    click.echo("  warehouse export example")
