"""Dagster's event log in SQLite, with connections that stay open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from alembic.runtime.migration import MigrationContext
from dagster import AssetCheckEvaluation, EventLogEntry, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, bindparam, create_engine, event

KEPT = 4
"""Databases kept open: the index, the run that writes, and those that a reader of the UI looks at."""

_INSERT = SqlEventLogStorageTable.insert()
_PLANNED = AssetCheckExecutionsTable.insert()
_EVALUATED = AssetCheckExecutionsTable.update().where(
    *(
        AssetCheckExecutionsTable.c[name].is_not_distinct_from(bindparam(f"of_{name}"))
        for name in ("asset_key", "check_name", "run_id", "partition")
    )
)
_MIRRORED = ASSET_EVENTS | ASSET_CHECK_EVENTS | EVENT_TYPE_TO_PIPELINE_RUN_STATUS.keys()
"""Kinds of events that the index holds too, for questions across runs."""


class EventLog(SqliteEventLogStorage):
    """The files and tables of ``SqliteEventLogStorage``, which connects and compiles anew for every statement.

    Nothing waits for the disk: a write-ahead log needs no flush to survive a kill, only to survive a power cut.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections: dict[str, Connection] = {}
        self._tables: set[str] = set()
        self._migrated: set[str] = set()
        super().__init__(base_dir, inst_data)
        vars(self)["_db_lock"] = threading.RLock()  # what is asked for within a transaction is part of it

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """``home``: Dagster's home, below which the files lie where they always do."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> EventLog:
        """The event log of a ``dagster.yaml`` that names this class."""
        return cls(os.path.join(config_value["home"], "history", "runs"), inst_data)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table, which then stays; asked at every check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def has_secondary_index(self, name: str) -> bool:
        """Whether a migration of data is complete, which it then stays; asked at every input."""
        if name not in self._migrated and super().has_secondary_index(name):
            self._migrated.add(name)
        return name in self._migrated

    def dispose(self) -> None:
        """Close every database."""
        while self._connections:
            _close(self._connections.popitem()[1])
        super().dispose()

    def store_event(self, event: EventLogEntry) -> None:
        """One event into the run's database and, where the index holds its kind, there."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Events of one run, in one transaction of each database; if the index refuses, neither has any of them."""
        rows = [self._event_to_row(event) for event in events]
        mirrored = [pair for pair in zip(events, rows, strict=True) if pair[0].dagster_event_type in _MIRRORED]
        with self.run_connection(events[0].run_id) as run:
            run.execute(_INSERT, rows)
            if mirrored:
                with self.index_connection() as index:
                    self._mirror(index, mirrored)

    def _mirror(self, index: Connection, mirrored: Sequence[tuple[EventLogEntry, Mapping[str, Any]]]) -> None:
        index.execute(_INSERT, [row for _, row in mirrored])
        last = index.exec_driver_sql("SELECT last_insert_rowid()").scalar_one()
        planned = list[dict[str, Any]]()
        for number, (entry, row) in enumerate(mirrored, last - len(mirrored) + 1):  # nobody else writes in between
            said = entry.dagster_event and entry.dagster_event.event_specific_data
            if entry.dagster_event_type in ASSET_EVENTS:
                self._store_asset_event_tags(index, [entry], [number])
                self._store_asset_event(index, entry, number)
            elif isinstance(said, AssetCheckEvaluationPlanned) and not said.partitions_subset:
                planned.append(_execution(entry, said, row, number, Status.PLANNED))
            elif isinstance(said, AssetCheckEvaluation) and entry.run_id:
                self._evaluated(index, entry, said, row, number)
            elif entry.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(entry, number)
        if planned:
            index.execute(_PLANNED, planned)

    def _evaluated(
        self,
        index: Connection,
        event: EventLogEntry,
        said: AssetCheckEvaluation,
        row: Mapping[str, Any],
        number: int,
    ) -> None:
        """Into the row of what was planned; where that is not one, as Dagster does."""
        target = said.target_materialization_data
        values = _execution(event, said, row, number, Status.SUCCEEDED if said.passed else Status.FAILED)
        values |= {"materialization_event_storage_id": target and target.storage_id, "of_partition": said.partition}
        values |= {f"of_{name}": values.pop(name) for name in ("asset_key", "check_name", "run_id")}
        if index.execute(_EVALUATED, values).rowcount != 1:
            self.store_asset_check_event(event, number)

    def has_asset_key_col(self, column_name: str) -> bool:
        """Always: the tables are of this version of Dagster, which looks their columns up at every event."""
        return True

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        return True

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction, or the part of it that is asked for within it."""
        with self._db_lock:
            connection = self._connection(shard)
            if connection.in_transaction():
                yield connection
            else:
                with connection.begin():
                    yield connection

    def _connection(self, shard: str) -> Connection:
        connection = self._connections.pop(shard, None) or self._opened(shard)
        self._connections[shard] = connection
        if len(self._connections) > KEPT:
            _close(self._connections.pop(next(iter(self._connections))))
        return connection

    def _opened(self, shard: str) -> Connection:
        waits = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        engine = create_engine(self.conn_string_for_shard(shard), connect_args=waits)
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
        if not _has_revision(engine):  # Dagster would read every migration that there is
            self._initdb(engine)
        return engine.connect()


def _execution(
    event: EventLogEntry,
    said: AssetCheckEvaluation | AssetCheckEvaluationPlanned,
    row: Mapping[str, Any],
    number: int,
    status: Status,
) -> dict[str, Any]:
    """What the index holds of a check in a run; the event as it is stored already."""
    return {
        "asset_key": said.asset_key.to_string(),
        "check_name": said.check_name,
        "run_id": event.run_id,
        "execution_status": status.value,
        "evaluation_event": row["event"],
        "evaluation_event_timestamp": row["timestamp"],
        "evaluation_event_storage_id": number,
    }


def _has_revision(engine: Engine) -> bool:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() is not None


def _close(connection: Connection) -> None:
    connection.close()
    connection.engine.dispose()
