"""Values from their bytes, all of them: one too many or too few is a ValueError. Nothing is ever unpickled."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.loader.foreign.places import Bytes
from warehouse.loader.foreign.samples import Value

Array = npt.NDArray[Any]

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
HEADER = 1 << 14
"""Bytes that hold the header of NumPy's format, which numpy reads up to 10,000 of."""
NUMBERS = (*INTEGERS, "float16", "float32", "float64")


def text(data: Bytes) -> str:
    """UTF-8."""
    return data.tobytes().decode("utf-8")


def raw(data: Bytes) -> bytes:
    """As they are."""
    return data.tobytes()


def json_value(data: Bytes) -> Value:
    """What JSON says."""
    found: Value = json.loads(data.tobytes())
    return found


def array(data: Bytes, dtype: np.dtype[Any], shape: Sequence[int] | None = None) -> Array:
    """All of the bytes as an array, a view of them that cannot be written to; without a shape one dimension."""
    if shape is not None and math.prod(shape) * dtype.itemsize != data.size:
        raise ValueError(f"{data.size} bytes for {dtype.name} of shape {tuple(shape)}")
    found = np.frombuffer(data, dtype)
    return found if shape is None else found.reshape(shape)


def number(data: Bytes, dtype: np.dtype[Any]) -> int | float:
    """One number."""
    found: int | float = array(data, dtype, (1,))[0].item()
    return found


def npy(data: Bytes) -> Array:
    """NumPy's format (numpy.lib.format), versions 1.0 and 2.0; objects in it are refused."""
    stream = io.BytesIO(data[:HEADER].tobytes())
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of NumPy's format")
    shape, columns_first, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which is never unpickled")
    found = array(data[stream.tell() :], dtype, shape[::-1] if columns_first else shape)
    return found.T if columns_first else found
