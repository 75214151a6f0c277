"""Stage runway: how long the data lasts, the world's public text and this warehouse's own corpus.

    stock and demand, both as draws -> the chance that demand has passed the stock, by year -> when that is 10, 50, 90 %

One engine for both. The world's numbers are Epoch AI's (Villalobos et al., arXiv 2211.04325v2), re-implemented from
what is published; the corpus's are measured in the published snapshot.
"""

from warehouse.runway.corpus import Corpus, Source, corpus
from warehouse.runway.distributions import Interval
from warehouse.runway.exhaustion import Forecast, Outcome, Row, date_at
from warehouse.runway.own import Growth, OwnForecast, Plan, own
from warehouse.runway.published import FULL_USE, ORIGIN
from warehouse.runway.recipe import Settings, changed, load_settings
from warehouse.runway.repetition import effective_tokens, epochs_for
from warehouse.runway.rows import RUNWAY, batch
from warehouse.runway.world import world

__all__ = [
    "FULL_USE",
    "ORIGIN",
    "RUNWAY",
    "Corpus",
    "Forecast",
    "Growth",
    "Interval",
    "Outcome",
    "OwnForecast",
    "Plan",
    "Row",
    "Settings",
    "Source",
    "batch",
    "changed",
    "corpus",
    "date_at",
    "effective_tokens",
    "epochs_for",
    "load_settings",
    "own",
    "world",
]
