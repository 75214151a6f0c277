"""What the shell completes: after a dot the tables of a schema or the columns of a table or alias, else any name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from warehouse.query import Connection, fetch_all

WORDS = re.split(
    r"\s+",
    """SELECT FROM WHERE GROUP BY ALL ORDER HAVING QUALIFY LIMIT JOIN LEFT SEMI ANTI ASOF USING ON AS AND OR NOT IN IS
    NULL BETWEEN LIKE ILIKE CASE WHEN THEN ELSE END DISTINCT UNION EXCEPT INTERSECT WITH OVER PARTITION FILTER DESC ASC
    count(*) sum( avg( min( max( DESCRIBE SUMMARIZE""",
)
TYPED = re.compile(r"[\w.]*$")
ALIAS = re.compile(r"\b(\w+\.\w+)\s+(?:as\s+)?(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Names:
    """``schema.table`` -> its columns."""

    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def after(self, owner: str, text: str) -> list[str]:
        """What may follow ``owner.``: tables of a schema, or columns of a table or of an alias in ``text``."""
        found = [name.partition(".")[2] for name in self.tables if name.partition(".")[0] == owner]
        full = {alias.lower(): name for name, alias in ALIAS.findall(text)}.get(owner.lower(), owner)
        for name, columns in self.tables.items():
            if full in (name, name.partition(".")[2]):
                found.extend(columns)
        return found

    def anywhere(self, text: str) -> list[str]:
        """Schemas and tables, the columns of tables that ``text`` names, and words of SQL."""
        columns = [column for name, columns in self.tables.items() if name in text for column in columns]
        schemas = [name.partition(".")[0] + "." for name in self.tables]
        return list(dict.fromkeys([*columns, *schemas, *self.tables, *WORDS]))


def names_of(con: Connection) -> Names:
    """The names in an open snapshot, the repository's tables among them."""
    sql = """
        SELECT if(database_name = 'repository', 'repository', schema_name) || '.' || table_name AS name,
               list(column_name ORDER BY column_index)
        FROM duckdb_columns() WHERE NOT internal GROUP BY name ORDER BY name"""
    return Names({name: tuple(columns) for name, columns in fetch_all(con, sql)})


@dataclass(frozen=True, slots=True)
class SqlCompleter(Completer):
    """Completes the word at the cursor from the names that are current then."""

    names: Callable[[], Names]

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The completions of the word before the cursor, nearest kind first."""
        match = TYPED.search(document.text_before_cursor)
        typed = match.group() if match else ""
        owner, dot, start = typed.rpartition(".")
        offered = self.names().after(owner, document.text) if dot else self.names().anywhere(document.text)
        begun = start if dot else typed
        for word in offered:
            if word.lower().startswith(begun.lower()):
                yield Completion(word, -len(begun))
