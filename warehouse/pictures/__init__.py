"""Pictures: values in, PNG bytes out; the one door for matplotlib, which is imported when the first picture is drawn.

All of them share ``figure`` and ``png`` of style.py, so that they look alike, and equal values give equal bytes under
one version of matplotlib. A picture is made for 1,280 pixels and still read at 400.
"""

from warehouse.pictures.bars import costs, funnel
from warehouse.pictures.forecast import Band, exhaustion
from warehouse.pictures.owners import compute, power

__all__ = ["Band", "compute", "costs", "exhaustion", "funnel", "power"]
