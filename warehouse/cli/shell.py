"""The SQL shell: history, completion of schemas, tables and columns, statements over several lines until ``;``.

Before each query the shell looks whether another snapshot has been published, and reads that one from then on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from warehouse.cli import results, table
from warehouse.cli.completion import Names, SqlCompleter, names_of
from warehouse.cli.failures import close_match, one_line
from warehouse.errors import UsageError, WarehouseError
from warehouse.publish import connect_current, current
from warehouse.query import fetch_all

if TYPE_CHECKING:
    from warehouse.project import Project
    from warehouse.query import Connection

HELP = """\
SQL ends with ;   Ctrl-C stops a query or clears the line   Ctrl-D leaves
.tables [WORD]    tables and views whose name holds WORD
.schema NAME      columns of a table, or tables of a schema
.help  .quit"""


@dataclass(slots=True)
class Shell:
    """A shell on one environment of a project: the open snapshot, and what can be completed in it."""

    project: Project
    env: str
    every: bool
    number: int = -1
    con: Connection | None = None
    names: Names = field(default_factory=Names)

    def refresh(self) -> Connection:
        """The connection to the current snapshot, opened again when another one was published."""
        number = current(self.project.published, self.env).n
        if self.con is None or number != self.number:
            if self.con is not None:
                print(f"-- snapshot {number} has been published; reading it now")
                self.con.close()
            self.con, self.number = connect_current(self.project.published, self.env), number
            self.names = names_of(self.con)
        return self.con

    def answer(self, text: str) -> bool:
        """Run what was typed and print what comes out; False when the shell is to end."""
        word, _, rest = text.strip().partition(" ")
        if word in (".quit", ".exit"):
            return False
        try:
            self._run(word, rest.strip(), text)
        except WarehouseError as error:
            print(one_line(str(error)), file=sys.stderr)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
        return True

    def _run(self, word: str, rest: str, text: str) -> None:
        con = self.refresh()
        if not word.startswith("."):
            return self._query(con, text)
        command = COMMANDS.get(word)
        if command is None:
            known = [*COMMANDS, ".quit"]
            raise UsageError(f"no command {word}", allowed=", ".join(known), do=close_match(word, known))
        return command(con, rest.rstrip(";"))

    def _query(self, con: Connection, text: str) -> None:
        for sql in results.parsed(text):
            results.print_table(results.result(con, sql), every=self.every)


def shell(project: Project, env: str, *, every: bool) -> None:
    """Read, run and print until ``.quit`` or Ctrl-D."""
    opened = Shell(project, env, every)
    opened.refresh()
    session = _session(opened)
    print(f"snapshot {opened.number} of {project.name}, read-only; .help says what can be typed")
    while True:
        try:
            text = session.prompt("sql> ", prompt_continuation="...> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text.strip() and not opened.answer(text):
            return


def _session(opened: Shell) -> PromptSession[str]:
    opened.project.state.mkdir(parents=True, exist_ok=True)
    return PromptSession(
        history=FileHistory(str(opened.project.state / "sql_history")),
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(lambda: opened.names),
        complete_while_typing=False,
        multiline=Condition(lambda: not is_whole(get_app().current_buffer.text)),
    )


def is_whole(text: str) -> bool:
    """Whether Enter runs what was typed: nothing, a command, or SQL that ends with ``;``."""
    typed = text.strip()
    return not typed or typed.startswith(".") or typed.endswith(";")


def _tables(con: Connection, word: str) -> None:
    sql = """
        SELECT schema_name || '.' || table_name AS "table", 'table' AS kind, estimated_size AS "rows", comment
        FROM duckdb_tables() WHERE NOT internal AND contains(schema_name || '.' || table_name, $1)
        UNION ALL
        SELECT if(database_name = 'repository', 'repository', schema_name) || '.' || view_name, 'view', NULL, comment
        FROM duckdb_views() WHERE NOT internal AND contains(database_name || '.' || schema_name || '.' || view_name, $1)
        ORDER BY ALL"""
    _print(("table", "kind", "rows", "comment"), fetch_all(con, sql, [word]))


def _schema(con: Connection, name: str) -> None:
    sql = """
        SELECT if(database_name = 'repository', 'repository', schema_name) || '.' || table_name AS "table",
               column_name, data_type, comment
        FROM duckdb_columns()
        WHERE NOT internal AND ("table" = $1 OR split_part("table", '.', 1) = $1 OR table_name = $1)
        ORDER BY "table", column_index"""
    rows = fetch_all(con, sql, [name])
    if not rows:
        raise UsageError(f"no table or schema {name!r}", do="'.tables' lists them")
    _print(("table", "column", "type", "comment"), rows)


def _help(_con: Connection, _rest: str) -> None:
    print(HELP)


def _print(names: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    print(*table.lines(names, rows, width=table.terminal_width()), sep="\n")


COMMANDS: dict[str, Callable[[Connection, str], None]] = {".tables": _tables, ".schema": _schema, ".help": _help}
