"""Data sets in other projects' formats, read without their packages: ``Loader("mds:FOLDER")``, ``RecordLoader``.

    mds:FOLDER           mosaicml-streaming   FOLDER/<split>/index.json, or FOLDER/index.json
    litdata:FOLDER       litdata              as above; ?length= cuts tokens of a TokensLoader into samples
    megatron:PREFIX      Megatron-LM          PREFIX.idx and PREFIX.bin; ?length= as above
    webdataset:PLACE     webdataset           a folder of tars, one tar, or a-{000..012}.tar
    parquet:PLACE        Hugging Face         a folder of .parquet files, or one; ?dtype= of fixed-size binary

Samples that are all the same number of tokens open as a ``Loader``, any as dictionaries in a ``RecordLoader``. A format
is a module with ``open_<format>(location, split, checked=)``, which gives ``samples.Opened``. The state of a job names
a data set by a hash of its index, so the same files in another place resume. Files are local or mounted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from warehouse.loader.foreign.litdata import open_litdata
from warehouse.loader.foreign.mds import open_mds
from warehouse.loader.foreign.megatron import open_megatron
from warehouse.loader.foreign.places import Location, taken_apart
from warehouse.loader.foreign.samples import Opened, Record
from warehouse.loader.foreign.webdataset import open_webdataset


def _open_parquet(location: Location, split: str, *, checked: bool) -> Opened:
    from warehouse.loader.foreign.parquet import open_parquet

    return open_parquet(location, split, checked=checked)


OPENERS: dict[str, Callable[..., Opened]] = {
    "mds": open_mds,
    "litdata": open_litdata,
    "megatron": open_megatron,
    "webdataset": open_webdataset,
    "parquet": _open_parquet,
}
OPTIONS: dict[str, tuple[str, ...]] = {
    "mds": (),
    "litdata": ("length",),
    "megatron": ("length",),
    "webdataset": (),
    "parquet": ("dtype",),
}


def is_foreign(path: Path | str) -> bool:
    """Whether ``path`` begins as one of the formats above does."""
    return str(path).partition(":")[0] in OPENERS and ":" in str(path)


def open_foreign(uri: Path | str, split: str, *, checked: bool) -> Opened:
    """The data set that ``uri`` names.

    Raises NotFound where it or the split is not there, FormatError for what is not read here, IntegrityError for files
    that are not what their index states, MissingExtra for Parquet without pyarrow.
    """
    location = taken_apart(str(uri), OPTIONS)
    return OPENERS[location.scheme](location, split, checked=checked)


__all__ = ["Opened", "Record", "is_foreign", "open_foreign"]
