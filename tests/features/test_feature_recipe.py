"""A feature set that is not as it should be is refused with file and line; the compiler's SQL is what is on file."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.errors import RecipeError
from warehouse.features import Aggregate, Span, compile_features, load_features, printed

GOOD = """\
spine:
  select: SELECT shop, moment FROM staging.moments
  keys: [shop]
  time: moment
views:
  sales:
    relation: staging.sales
    keys: [shop_id]
    event_time: sold_at
    known_at: booked_at
    at_moment: excluded
    version_of: [receipt]
    windows: [90s, 2h]
    aggregates:
      sold: count
      pieces: {sum: pieces}
      price_max: {max: price}
    latest: {last_price: price}
    ttl: 1d
"""
SALES = {
    "shop_id": "VARCHAR",
    "sold_at": "TIMESTAMP WITH TIME ZONE",
    "booked_at": "DATE",
    "receipt": "BIGINT",
    "pieces": "INTEGER",
    "price": "DECIMAL(10,2)",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "shops.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_feature_set_is_what_its_file_states(tmp_path: Path) -> None:
    made = load_features(write(tmp_path, GOOD))
    view = made.views[0]
    assert (made.name, made.table, view.version_of) == ("shops", "features_shops", ("receipt",))
    assert view.windows == (Span("90s", 90_000_000), Span("2h", 7_200_000_000)) and view.ttl == Span(
        "1d", 86_400_000_000
    )
    assert view.aggregates[1] == Aggregate("pieces", "sum", "pieces")
    assert made.features == (
        "sold_90s",
        "pieces_90s",
        "price_max_90s",
        "sold_2h",
        "pieces_2h",
        "price_max_2h",
        "last_price",
    )


def test_the_compiled_select_is_the_one_on_file(tmp_path: Path) -> None:
    odd = GOOD.replace("price}", "'unit \"price\"'}").replace("[receipt]", "[receipt, shop_id]")
    types = {**SALES, 'unit "price"': "DECIMAL(10,2)"}
    spine = {"shop": "VARCHAR", "moment": "TIMESTAMP", "label": "INTEGER"}
    compiled = compile_features(load_features(write(tmp_path, odd)), {"sales": types}, spine)
    assert printed(compiled) == Path(__file__).with_name("golden.sql").read_text("utf-8")
    assert all(f"${name}" in compiled.sql for name in compiled.parameters)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    ttl: 1d", "    tll: 1d", r"shops.yaml:19: unknown key 'tll'.*did you mean 'ttl'"),
        ("at_moment: excluded", "at_moment: maybe", r"shops.yaml:11: at_moment is 'maybe'. Allowed: counted, excluded"),
        ("    at_moment: excluded\n", "", r"shops.yaml:6: no at_moment"),
        ("    known_at: booked_at\n", "", r"shops.yaml:6: no known_at"),
        ("[90s, 2h]", "[90, 2h]", r"shops.yaml:13: windows is \[90, '2h'\]"),
        ("[90s, 2h]", "[1.5h]", r"shops.yaml:13: windows is '1.5h'.*s, m, h or d"),
        ("    windows: [90s, 2h]\n", "", r"shops.yaml:6: windows without aggregates"),
        ("sold: count", "sold: counted", r"shops.yaml:15: sold is 'counted'.*count, rate"),
        ("sold: count", "Sold: count", r"shops.yaml:15: feature 'Sold'"),
        ("{sum: pieces}", "{median: pieces}", r"shops.yaml:16: pieces is \{'median'"),
        ("last_price:", "sold_2h:", r"'sold_2h' stands twice"),
        ("staging.sales", "sales; DROP TABLE x", r"shops.yaml:7: relation 'sales; DROP"),
        ("keys: [shop_id]", "keys: [shop_id, till]", r"shops.yaml:8: 2 keys where the spine has 1"),
        ("    latest: {last_price: price}\n", "", r"shops.yaml:18: ttl without latest"),
        ("  time: moment\n", "", r"shops.yaml:1: no time"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(RecipeError, match=message):
        load_features(write(tmp_path, GOOD.replace(old, new)))


def test_the_feature_sets_of_the_project_load(checkout: Path) -> None:
    found = [load_features(path) for path in sorted((checkout / "recipes" / "features").glob("*.yaml"))]
    assert "inference_traffic" in [made.name for made in found]
