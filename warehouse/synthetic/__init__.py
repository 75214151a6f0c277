"""Stage synthetic: rows from sketches and text from facts, marked, capped, never made from what is synthetic itself.

    SELECT -> bins -> sketch (round one) -> network -> sketch (round two) -> rows
    SELECT -> sentences, each with its row -> read back -> documents

``load_synthetic`` reads a recipe; ``fit`` and ``sample`` make rows, ``compose`` documents; ``quality`` measures.
"""

from warehouse.synthetic.bins import COUNTABLE, Fineness, fit_columns, ranks_of, sampled
from warehouse.synthetic.facts import GRAIN, READER, STATEMENTS, TABLE, Composed, Statement, compose, statement_rows
from warehouse.synthetic.fit import fit, marked
from warehouse.synthetic.law import inputs_of
from warehouse.synthetic.network import MAX_PARENTS, VERSION, choose
from warehouse.synthetic.quality import Quality, quality
from warehouse.synthetic.readback import disagreement
from warehouse.synthetic.recipe import MARKS, Fact, FactsRecipe, RowsRecipe, load_synthetic
from warehouse.synthetic.sample import sample

__all__ = [
    "COUNTABLE",
    "GRAIN",
    "MARKS",
    "MAX_PARENTS",
    "READER",
    "STATEMENTS",
    "TABLE",
    "VERSION",
    "Composed",
    "Fact",
    "FactsRecipe",
    "Fineness",
    "Quality",
    "RowsRecipe",
    "Statement",
    "choose",
    "compose",
    "disagreement",
    "fit",
    "fit_columns",
    "inputs_of",
    "load_synthetic",
    "marked",
    "quality",
    "ranks_of",
    "sample",
    "sampled",
    "statement_rows",
]
