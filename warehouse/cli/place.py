"""``--project`` and ``--env``, before or after the verb: which project and environment a verb works on."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from warehouse.errors import NotFound, UsageError

if TYPE_CHECKING:
    from warehouse.project import Project

Verb = TypeVar("Verb", bound=Callable[..., Any])


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj[param.name] = value


def placed(verb: Verb) -> Verb:
    """The verb with the options ``--project`` and ``--env``; ``project()`` and ``environment()`` read them."""
    env = click.option("--env", expose_value=False, callback=_remember, metavar="NAME", help="Environment [prod].")
    folder = click.option(
        "--project", expose_value=False, callback=_remember, metavar="DIR", help="Folder with warehouse.toml."
    )
    return env(folder(verb))


def project() -> Project:
    """The project of this command line: the one of ``--project``, else the one the working directory lies in."""
    from warehouse.project import MARKER, find, load

    named = click.get_current_context().find_root().obj.get("project")
    if named is None:
        return find()
    if not (Path(named) / MARKER).is_file():
        raise NotFound(f"no {MARKER} in {named}", do=f"run 'warehouse init {named}' to make a project there")
    return load(Path(named).resolve())


def environment() -> str:
    """The environment of this command line: ``--env``, else prod."""
    name: str = click.get_current_context().find_root().obj.get("env", "prod")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name):
        raise UsageError(f"--env came as {name!r}", allowed="lower-case letters, digits, - and _, a letter first")
    return name


def release_path(named: str) -> Path:
    """The folder of a release, NAME[@V] or a path; a path needs no project around it."""
    from warehouse.manifest import NAME

    if (Path(named) / NAME).is_file():
        return Path(named)
    from warehouse.datasets import resolve

    return resolve(project().datasets, named)


as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON document.")


def print_json(value: Any) -> None:
    """One JSON document on stdout; dataclasses as objects, bytes as hexadecimal, times in ISO 8601, paths as text."""
    print(json.dumps(value, default=_as_json, ensure_ascii=False, indent=1))


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
