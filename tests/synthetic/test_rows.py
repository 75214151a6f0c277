"""Rows drawn from a sketch: what goes together stays together, nothing rare comes out, the same seed gives the same."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from warehouse.errors import UsageError
from warehouse.sketches import Column, sketch, to_bytes
from warehouse.synthetic import Fineness, choose, fit, fit_columns, marked, quality, sample
from warehouse.synthetic.bins import sampled
from warehouse.synthetic.network import conditional, mutual_information, order
from warehouse.synthetic.quality import copies

N = 6000


def chained(rows: int, seed: int) -> pa.Table:
    """Four columns, each hanging on those before it: x -> y, (x, y) -> z, and w on all three by parity."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 3, rows)
    y = np.where(random.random(rows) < 0.8, x, random.integers(0, 3, rows))
    z = (x + y + (random.random(rows) < 0.1)) % 3
    w = np.where((x + y + z) % 2 == 0, 10.5, 3.25)
    return pa.table({"x": x, "y": y, "z": pa.array([f"level {v}" for v in z]), "w": w})


def fitted(table: pa.Table, **options: int) -> tuple[tuple[Column, ...], pa.Table]:
    columns = fit_columns(table.to_batches())
    return columns, sample(fit(table.to_batches, columns, **options), N, seed=3)


def shares_of(table: pa.Table) -> dict[tuple[object, ...], float]:
    found: dict[tuple[object, ...], float] = {}
    for row in table.to_pylist():
        found[tuple(row.values())] = found.get(tuple(row.values()), 0) + 1 / table.num_rows
    return found


def variation(one: pa.Table, two: pa.Table) -> float:
    """Half the sum of the differences of the shares of whole rows."""
    shares = [shares_of(table) for table in (one, two)]
    return sum(abs(shares[0].get(key, 0) - shares[1].get(key, 0)) for key in {**shares[0], **shares[1]}) / 2


def test_a_network_of_three_parents_keeps_what_independent_columns_lose() -> None:
    real, fresh = chained(N, 1), chained(N, 2)
    _, drawn = fitted(real)
    _, loose = fitted(real, max_parents=0)
    assert variation(fresh, real) < 0.05 and variation(drawn, real) < 0.06
    assert variation(loose, real) > 0.5


def test_the_same_sketch_rows_and_seed_give_the_same_rows_and_another_seed_others() -> None:
    table = chained(500, 1)
    made = fit(table.to_batches, fit_columns(table.to_batches()))
    assert sample(made, 300, seed=1).equals(sample(made, 300, seed=1))
    assert not sample(made, 300, seed=1).equals(sample(made, 300, seed=2))


def test_sites_that_only_send_sketches_end_at_the_sketch_of_all_rows() -> None:
    one, two = chained(900, 1), chained(700, 2)
    columns = fit_columns(one.to_batches())
    parents = choose(sketch(one.to_batches(), columns) + sketch(two.to_batches(), columns))
    merged = sketch(two.to_batches(), columns, parents) + sketch(one.to_batches(), columns, parents)
    assert to_bytes(merged) == to_bytes(fit(pa.concat_tables([one, two]).to_batches, columns))


def test_a_family_is_placed_parents_first_and_has_at_most_three() -> None:
    table = chained(2000, 1)
    made = fit(table.to_batches, fit_columns(table.to_batches()))
    assert made.parents is not None and max(map(len, made.parents)) <= 3
    placed = order(made.parents)
    assert all(placed.index(above) < placed.index(at) for at, own in enumerate(made.parents) for above in own)
    for child, parents in enumerate(made.parents):
        assert np.allclose(conditional(made, child, parents).sum(axis=-1), 1)
    with pytest.raises(UsageError, match="cycle"):
        order(((1,), (0,)))


def test_mutual_information_is_that_of_plain_counting() -> None:
    table = pa.table({"a": ["x"] * 50 + ["y"] * 50, "b": ["x"] * 50 + ["y"] * 50, "c": ["x", "y"] * 50})
    shared = mutual_information(sketch(table.to_batches(), fit_columns(table.to_batches())))
    assert shared[0, 1] == pytest.approx(np.log(2) + 1 / 200) and shared[0, 2] == 0


def test_values_come_in_the_types_of_the_table_inside_what_was_met() -> None:
    whole = {
        "n": pa.array([1, 5, 5, None] * 50, pa.int16()),
        "price": pa.array([0.25, 10.5, 99.75, 3.0] * 50),
        "paid": pa.array([Decimal("1.20"), Decimal("7.55"), None, Decimal("3.00")] * 50, pa.decimal128(9, 2)),
        "day": pa.array([date(2024, 1, 31), date(2024, 2, 1), None, date(2020, 5, 5)] * 50),
        "at": pa.array([datetime(2024, 1, 31, 12), None] * 100, pa.timestamp("us", "UTC")),
        "yes": pa.array([True, False, None, True] * 50),
        "text": pa.array(["a", "b", None, "c"] * 50),
        "nothing": pa.nulls(200, pa.int64()),
    }
    table = pa.table(whole)
    _, drawn = fitted(table)
    assert [str(kind) for kind in drawn.schema.types] == [str(kind) for kind in table.schema.types]
    for name in table.column_names:
        met, made = set(table[name].to_pylist()), set(drawn[name].to_pylist())
        assert made == met, name  # few values: each is a bin of its own


def test_drawn_numbers_stay_whole_and_within_a_bin_where_there_are_many_values() -> None:
    random = np.random.default_rng(0)
    real = {"n": random.integers(-(2**40), 2**40, 5000), "cents": np.round(random.lognormal(3, 1, 5000), 2)}
    table = pa.table(real)
    columns, drawn = fitted(table)
    assert all(len(column.bins) <= 33 for column in columns)
    for name, values in real.items():
        assert values.min() <= min(drawn[name].to_pylist()) and max(drawn[name].to_pylist()) <= values.max()
    cents = drawn["cents"].to_numpy()
    assert np.array_equal(np.round(cents, 2), cents)


def test_a_level_that_few_rows_have_never_comes_out() -> None:
    table = pa.table({"name": ["often"] * 500 + [f"Jane Doe {n % 60}" for n in range(240)]})
    _, drawn = fitted(table)
    assert set(drawn["name"].to_pylist()) == {"often", "other"}


def test_a_spike_stays_exact() -> None:
    values = np.where(np.arange(4000) % 4 == 0, 40.0, np.random.default_rng(0).random(4000) * 100)
    _, drawn = fitted(pa.table({"hours": values}))
    assert abs((drawn["hours"].to_numpy() == 40.0).mean() - 0.25) < 0.03


def test_stated_edges_and_levels_are_used_as_stated_and_nothing_is_fitted() -> None:
    table = pa.table({"n": [3, 15, 40], "x": [0.5, 1.5, 2.5], "s": ["yes", "no", "maybe"]})
    stated = {"n": (0, 10, 50), "x": (0.0, 2.0, 3.0), "s": ("no", "yes")}
    columns = fit_columns(table.to_batches(), stated=stated)
    assert [column.fitted for column in columns] == [False] * 3
    assert columns[0].bins == ((0, 9), (10, 50)) and columns[1].bins == ((0.0, 2.0), (2.0, 3.0))
    assert sketch(table.to_batches(), columns).table(0).tolist() == [1, 2, 0]
    with pytest.raises(UsageError, match="bins of 'm', which is no column"):
        fit_columns(table.to_batches(), stated={"m": (0, 1)})
    with pytest.raises(UsageError, match="levels of 'n'"):
        fit_columns(table.to_batches(), stated={"n": ("a",)})


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(UsageError, match=r"column 'l' is list<item: int64>"):
        fit_columns([pa.RecordBatch.from_pydict({"l": [[1]]})])
    with pytest.raises(UsageError, match="no row to count"):
        fit_columns([])
    with pytest.raises(UsageError, match="a sketch of no row"):
        sample(sketch([], [Column("n", "int64", bins=((0, 1),))]), 1, seed=0)


def test_a_sample_of_rows_is_uniform_in_order_and_hangs_on_the_seed_alone() -> None:
    batches = [pa.RecordBatch.from_pydict({"n": list(range(at, at + 100))}) for at in range(0, 5000, 100)]
    found = sampled(batches, 400, seed=1)["n"].to_pylist()
    whole = sampled([pa.RecordBatch.from_pydict({"n": list(range(5000))})], 400, seed=1)["n"].to_pylist()
    assert found == whole == sorted(found) and len(found) == 400 and 2200 < np.mean(found) < 2800
    assert sampled(batches, 9000, seed=1).num_rows == 5000


def test_every_drawn_row_is_marked() -> None:
    table = chained(300, 1)
    made = fit(table.to_batches, fit_columns(table.to_batches()))
    rows = marked(sample(made, 10, seed=5), made, seed=5).to_pylist()
    assert {(row["synthetic"], row["generation"], row["seed"], row["sketch"]) for row in rows} == {
        (True, 1, 5, made.fingerprint)
    }


def test_quality_is_one_for_the_same_rows_and_falls_for_shuffled_columns() -> None:
    real, held = chained(3000, 1), chained(3000, 2)
    columns = fit_columns(real.to_batches())
    ways = [np.random.default_rng(at).permutation(3000) for at in range(4)]
    shuffled = pa.table({name: real[name].take(way) for name, way in zip("xyzw", ways, strict=True)})
    same, loose = quality(columns, held, held, real), quality(columns, shuffled, held, real)
    assert same.mean == 1.0 and loose.shapes > 0.97 and loose.pairs < 0.9
    assert quality(columns, real, held, real).copies == 3000 and copies(shuffled, real) < 3000


def test_copies_of_counted_rows_show_in_the_dcr_share() -> None:
    random = np.random.default_rng(0)
    real, held, fresh = (pa.table({"a": random.random(600), "b": random.random(600)}) for _ in range(3))
    columns = fit_columns(real.to_batches())
    assert quality(columns, real, held, real).dcr_share == 1.0
    assert 0.4 < quality(columns, fresh, held, real).dcr_share < 0.6


def test_census_rows_are_near_real_ones_and_none_is_a_copy(shared_data: Path) -> None:
    rows = pyarrow.csv.read_csv(shared_data / "tabular/census/census.csv.gz")
    shuffled = rows.take(np.random.default_rng(0).permutation(rows.num_rows))
    real, held = shuffled.slice(0, 36_631), shuffled.slice(36_631)
    columns = fit_columns(real.to_batches(), fineness=Fineness())
    drawn = sample(fit(real.to_batches, columns), held.num_rows, seed=1)
    found = quality(columns, drawn, held, real)
    assert found.mean > 0.97 and found.copies <= 2 and abs(found.dcr_share - 0.5) < 0.07
