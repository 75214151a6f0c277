"""The group of verbs, loaded one module at a time.

``warehouse --help`` imports click and the verbs' own modules, nothing heavy: 0.1 CPU seconds. A new verb is a function
``<verb>_verb`` in a module of this folder and a word in VERBS.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence

import click

from warehouse.cli.failures import close_match, exit_status
from warehouse.cli.place import placed
from warehouse.errors import UsageError

VERBS = {
    "Write": {
        "init": "start",
        "ingest": "runs",
        "run": "runs",
        "export": "runs",
        "report": "runs",
        "maintain": "runs",
        "takedown": "runs",
    },
    "Read": {
        "status": "overview",
        "sql": "sql",
        "series": "datacommons",
        "lint": "datacommons",
        "explain": "documents",
        "whatif": "whatif",
        "rejects": "overview",
        "trace": "releases",
        "diff": "comparing",
        "verify": "releases",
        "pull": "pulling",
        "features": "features",
        "runway": "runway",
        "synth": "synth",
        "loader": "loading",
    },
    "Serve": {"ui": "runs"},
}
MODULES = {verb: module for group in VERBS.values() for verb, module in group.items()}


class Verbs(click.Group):
    """A group whose commands live in the modules that VERBS names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        module = importlib.import_module(f"warehouse.cli.{MODULES[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_verb")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in MODULES:
            raise UsageError(f"no verb {args[0]!r}", allowed=", ".join(MODULES), do=close_match(args[0], MODULES))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in VERBS.items():
            with formatter.section(title):
                formatter.write_dl([(verb, self._line(ctx, verb)) for verb in verbs])

    def _line(self, ctx: click.Context, verb: str) -> str:
        command = self.get_command(ctx, verb)
        return command.get_short_help_str(90) if command else ""


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ml-warehouse", message="warehouse %(version)s")
@placed
def cli() -> None:
    """A warehouse for ML data: raw sources in, verified training data sets out."""


def run(arguments: Sequence[str]) -> int:
    """The exit status of one command line; whatever is refused or fails is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    verb = next((word for word in arguments if word in MODULES), "")
    return exit_status(verb, lambda: _invoke(list(arguments) or ["--help"]))


def _invoke(arguments: list[str]) -> None:
    with cli.make_context("warehouse", arguments, obj={}) as context:
        cli.invoke(context)
    sys.stdout.flush()
