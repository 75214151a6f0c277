"""Suites as asset checks: one check an expectation, all of a suite in one query, each blocking or a warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from warehouse.contracts import Check, Snapshot
from warehouse.gate import Expectation, Suite, run_suites
from warehouse.query import attach_repository, shared
from warehouse.repository import Repository

Metadata = Mapping[str, Any]

if TYPE_CHECKING:
    Result = dg.MaterializeResult[None]
else:
    Result = dg.MaterializeResult
"""What an asset with checks returns: Dagster reads [None] as the type of an output and refuses that beside checks."""


def check_specs(key: dg.AssetKey, suites: Iterable[Suite]) -> list[dg.AssetCheckSpec]:
    """A check for each expectation of the suites of one asset; it blocks unless the expectation only warns."""
    return [
        dg.AssetCheckSpec(name, asset=key, blocking=not expectation.warns, description=_described(expectation))
        for name, expectation in _named(suites)
    ]


def check_results(key: dg.AssetKey, suites: Sequence[Suite], checks: Sequence[Check]) -> Iterator[dg.AssetCheckResult]:
    """The verdicts of those suites, in the order of their expectations."""
    for (name, expectation), check in zip(_named(suites), checks, strict=True):
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=check.success,
            severity=dg.AssetCheckSeverity.WARN if expectation.warns else dg.AssetCheckSeverity.ERROR,
            metadata={
                "expectation": check.expectation,
                "kwargs": dict(check.kwargs),
                "element_count": check.element_count,
                "unexpected_count": check.unexpected_count,
                **({"why": expectation.meta["why"]} if expectation.warns and "why" in expectation.meta else {}),
                **({"observed": str(check.observed)} if check.observed is not None else {}),
                **({"samples": ", ".join(str(sample) for sample in check.samples)} if check.samples else {}),
            },
        )


def skipped_results(key: dg.AssetKey, suites: Sequence[Suite], reason: str) -> Iterator[dg.AssetCheckResult]:
    """Warnings in place of verdicts, for a model that could not be built because its input is not there yet."""
    for name, _ in _named(suites):
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"skipped": reason},
        )


def last_verdicts(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> list[Check]:
    """The last verdict of each check in Dagster's records, passed or not; not of those that were skipped or never ran.

    The table of a check is its asset, as ``group.name``.
    """
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    evaluations = [_evaluated(instance, key, record.evaluation) for key, record in found.items()]
    return [_check(each) for each in evaluations if each and "skipped" not in each.metadata]


def _evaluated(instance: dg.DagsterInstance, key: dg.AssetCheckKey, last: object) -> dg.AssetCheckEvaluation | None:
    """The last verdict; where a run planned the check and stopped before it, the one before."""
    if isinstance(last, dg.AssetCheckEvaluation):
        return last
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    done = (record.evaluation for record in history)
    return next((each for each in done if isinstance(each, dg.AssetCheckEvaluation)), None)


def _check(evaluation: dg.AssetCheckEvaluation) -> Check:
    facts: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
    kwargs = facts.get("kwargs", {})
    return Check(
        suite=".".join(evaluation.asset_key.path),
        table=".".join(evaluation.asset_key.path),
        expectation=facts.get("expectation", evaluation.check_name),
        column=kwargs.get("column"),
        kwargs=kwargs,
        success=evaluation.passed,
        element_count=facts.get("element_count", 0),
        unexpected_count=facts.get("unexpected_count", 0),
        observed=facts.get("observed"),
        samples=(facts["samples"],) if "samples" in facts else (),
    )


def audit(
    key: dg.AssetKey, suites: Sequence[Suite], repository: Repository, *, memory_limit: str, table: str | None = None
) -> list[dg.AssetCheckResult]:
    """The verdicts of a repository table's suites on its newest version; table: where the asset has another name."""
    con = shared(memory_limit)
    attach_repository(con, [repository.snapshot(table or key.path[-1])])
    checks = run_suites(con, suites)
    return list(check_results(key, suites, checks))


def _named(suites: Iterable[Suite]) -> Iterator[tuple[str, Expectation]]:
    """Each expectation with a name that is unique within its asset and the same on every load."""
    seen: Counter[str] = Counter()
    for expectation in (each for suite in suites for each in suite.expectations):
        columns = (expectation.kwargs.get(key) for key in ("column", "column_A", "column_B"))
        first, *second = [column for column in columns if column] or [""]
        words = [word for word in expectation.type.split("_") if word not in SILENT]
        name = "_".join(part for part in (first, *words, *second) if part)
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name}_{seen[name]}"), expectation


SILENT = frozenset(("expect", "table", "column", "values", "pair", "a", "b", "to", "be"))
"""Words of an expectation's type that its name as a check leaves out: ``h100e_greater_than_h100e_p05``."""


def _described(expectation: Expectation) -> str:
    """The expectation as it is written, after the reason that its suite gives for it."""
    kwargs = ", ".join(f"{key}={value!r}" for key, value in expectation.kwargs.items())
    why = expectation.meta.get("why")
    return f"{why}: {expectation.type}({kwargs})" if why else f"{expectation.type}({kwargs})"


def table_metadata(snapshot: Snapshot) -> Metadata:
    """Rows, bytes, version and columns of a Delta table, as Dagster shows them."""
    columns = [
        dg.TableColumn(field.name, str(field.type), (field.metadata or {}).get(b"comment", b"").decode() or None)
        for field in snapshot.schema
    ]
    return {
        "dagster/row_count": snapshot.rows,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "delta_version": snapshot.version,
        "bytes": snapshot.bytes,
        "files": len(snapshot.files),
    }


def columns_metadata(rows: int, columns: Iterable[tuple[str, str, str]]) -> Metadata:
    """Rows and (name, type, description) columns of a SQL model, as Dagster shows them."""
    schema = dg.TableSchema(columns=[dg.TableColumn(name, kind, text or None) for name, kind, text in columns])
    return {"dagster/row_count": rows, "dagster/column_schema": schema}
