"""The whole route on real input, as ``make demo`` runs it: sources, releases, a model trained on one, a report.

Input: documents of the installed Python packages and the standard library, and the figures in sample/. It needs no
network. Run again, it finds what has not changed and makes no second release.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm
from train_language_model import train

from pipelines.run import Materialised, run_assets
from warehouse.answers.status import status
from warehouse.cli.table import count, lines, size, small, terminal_width
from warehouse.errors import WarehouseError
from warehouse.project import Project, load
from warehouse.publish import connect_current
from warehouse.query import fetch_all

CHECKOUT = Path(__file__).resolve().parent.parent
DATASET = "demo_corpus"
ROWS = "traffic_features"
STEPS = 200
REMOVALS = """
SELECT reason, sum(documents)::BIGINT AS documents, sum(bytes)::BIGINT, sum(documents) / sum(sum(documents)) OVER ()
FROM marts.removal_funnel WHERE rule_set = 'house' GROUP BY reason ORDER BY reason <> 'kept', documents DESC"""
NEXT = """
Next:
  .venv/bin/warehouse sql "SELECT * FROM marts.chips_by_owner_quarter ORDER BY quarter_start DESC, units DESC LIMIT 9"
  .venv/bin/warehouse explain {document}
  make ui
  open {page}"""


def main() -> None:
    """Run the route and print what was made."""
    began = time.perf_counter()
    project = load(CHECKOUT)
    say("1. Sources to the published snapshot")
    built = run_assets(project)
    say(f"2. Releases of {DATASET} and {ROWS}")
    released = run_assets(project, [f"datasets/{DATASET}", f"datasets/{ROWS}"])
    facts = {asset.name.removeprefix("datasets/"): asset.metadata for asset in released.assets}
    show_tables(project)
    show_removals(project)
    show_releases(facts)
    show_runway({asset.name: asset.metadata for asset in built.assets})
    show_costs([*built.assets, *released.assets])
    say("3. A language model in plain numpy, trained on the release")
    show_training(Path(facts[DATASET]["path"]))
    say("4. A page of pictures, releases and verdicts")
    page = run_assets(project, ["report/page"]).assets[-1].metadata["path"]
    print(f"  {page}")
    print(f"\n{built.checks} checks passed, {time.perf_counter() - began:.0f} s in all.")
    print(NEXT.format(document=dropped_document(project), page=page))


def say(text: str) -> None:
    """A heading, at once also through a pipe."""
    print(f"\n{text}", flush=True)


def show(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table."""
    for line in lines(names, list(rows), width=terminal_width()):
        print("  " + line)


def show_tables(project: Project) -> None:
    """Rows and bytes of every table, and of the snapshot's models."""
    found = status(project)
    say("Tables of the repository")
    show(
        ["table", "version", "rows", "bytes"], [(t.name, t.version, count(t.rows), size(t.bytes)) for t in found.tables]
    )
    if found.published:
        print(f"  published: {found.published.models} models, {size(found.published.bytes)}, {found.published.path}")


def show_removals(project: Project) -> None:
    """Documents kept, and dropped by reason."""
    say("Documents kept, and dropped by the first rule that failed (rule set house)")
    with connect_current(project.published, "prod") as con:
        rows = fetch_all(con, REMOVALS)
    show(["reason", "documents", "bytes", "share"], [(r[0], count(r[1]), size(r[2]), f"{r[3]:.1%}") for r in rows])


def show_releases(released: Mapping[str, Mapping[str, Any]]) -> None:
    """Name, hash, shards and size of each release."""
    say("Releases")
    for facts in (released[DATASET], released[ROWS]):
        kinds = ("samples", "tokens") if "tokens" in facts else ("rows", "columns")
        print(f"  {facts['release']}  id {facts['id']}")
        print(
            f"  {facts['shards']} shards, {', '.join(f'{facts[kind]:,} {kind}' for kind in kinds)} in {facts['path']}"
        )


def show_runway(facts: Mapping[str, Mapping[str, Any]]) -> None:
    """When the world's public text is used in full, and how long this corpus lasts for the demo's own model."""
    world, own = facts["repository/runway"], facts["runway/corpus"]
    say("How long the data lasts (warehouse runway)")
    print(f"  the world's public text is used in full {world['full_use']}, if trends continue")
    print(
        f"  here {own['unique_tokens']:,} unique tokens for a target of {own['target_tokens']:,}; read once they last"
    )
    print(f"  {own['lasts_once']}, repeated and with synthetic text {own['lasts_repeated_and_synthetic']}")


def show_costs(assets: Sequence[Materialised]) -> None:
    """CPU seconds and energy of each asset; a step's peak memory belongs to all assets it made."""
    say("CPU seconds, watt-hours and carbon of each asset")
    costly = [(asset, asset.cost) for asset in assets if asset.cost]
    rows = [
        (
            asset.name,
            "" if asset.rows is None else count(asset.rows),
            f"{cost.cpu_s:.2f}",
            small(cost.watt_hours),
            small(cost.grams_co2e),
            size(cost.peak_rss),
        )
        for asset, cost in costly
    ]
    show(["asset", "rows", "CPU s", "Wh", "g CO2e", "peak memory"], rows)
    cpu_s, watt_hours, grams = (
        sum(getattr(cost, name) for _, cost in costly) for name in ("cpu_s", "watt_hours", "grams_co2e")
    )
    print(f"  {cpu_s:.1f} CPU s, {small(watt_hours)} Wh, {small(grams)} g CO2e in all")
    print(f"  power: {costly[-1][1].power_model}\n  grid: {costly[-1][1].grid}")


def show_training(release: Path) -> None:
    """Bits per byte on held-out documents, before and after."""
    with tqdm(total=STEPS, desc="training", unit="step", disable=None, delay=2) as bar:
        result = train(release, steps=STEPS, seed=0, report=lambda step: bar.update(step - bar.n))
    print(f"  {result.steps} steps, {result.tokens:,} tokens, {result.seconds:.0f} s")
    print(f"  bits per byte of held-out text: {result.before:.3f} before, {result.after:.3f} after")


def dropped_document(project: Project) -> str:
    """The uri of a document that was dropped as a copy, the first by uri."""
    sql = """
        SELECT uri FROM curation.decisions JOIN staging.current_documents USING (doc_id)
        WHERE rule_set = 'house' AND reason = 'duplicate_document' ORDER BY uri LIMIT 1"""
    with connect_current(project.published, "prod") as con:
        found = fetch_all(con, sql)
    return str(found[0][0]) if found else "DOC"


if __name__ == "__main__":
    try:
        main()
    except WarehouseError as error:
        sys.exit(f"demo: {error}")
