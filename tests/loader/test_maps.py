"""One array over several maps: each row as its map has it, wherever the maps and the batch lie."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.loader.maps import Maps


@given(
    form=st.sampled_from(["u1", "<u2"]),
    length=st.integers(1, 20),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    widest=st.sampled_from([0, 1, 50]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=100, deadline=None)
def test_rows_come_as_their_maps_have_them(*, form: str, length: int, sizes: list[int], widest: int, seed: int) -> None:
    drawn, width = np.random.default_rng(seed), length * np.dtype(form).itemsize
    space = drawn.integers(0, 256, 8192, np.uint8)
    laid, at = {}, 0
    for number in drawn.permutation(len(sizes) + 1).tolist():  # in any order, the last one is the batch
        at += int(drawn.integers(0, widest + 1))
        rows = [*sizes, 8][number]
        laid[number] = space[at : at + rows * width].view(form).reshape(rows, length)
        at += rows * width
    *parts, out = (laid[number] for number in range(len(sizes) + 1))
    owner = drawn.integers(0, len(parts), 8)
    local = drawn.integers(0, np.array(sizes)[owner])
    wanted = np.array([parts[part][row] for part, row in zip(owner.tolist(), local.tolist(), strict=True)])
    Maps(parts).gather(owner, local, out)
    assert np.array_equal(out, wanted)


@pytest.mark.parametrize("form", ["<u2", "<u4", np.dtype([("number", "<i8"), ("share", "<f4"), ("valid", "u1")])])
@pytest.mark.parametrize("length", [(), (1000,), (1024,), (2048,), (3000,)])
def test_files_of_any_form_are_read_as_they_are_and_stay_mapped(
    tmp_path: Path, form: str | np.dtype[np.void], length: tuple[int, ...]
) -> None:
    dtype, sizes = np.dtype(form), (3, 700, 1, 64)
    drawn = np.random.default_rng(0)
    width = dtype.itemsize * int(np.prod(length, dtype=int))
    held = [drawn.integers(0, 256, (size, width), np.uint8) for size in sizes]
    for number, rows in enumerate(held):
        (tmp_path / f"{number}.bin").write_bytes(rows.tobytes())
    flat = [np.asarray(np.memmap(tmp_path / f"{number}.bin", np.uint8, "r")) for number in range(len(sizes))]
    maps = Maps([each.view(dtype).reshape(size, *length) for each, size in zip(flat, sizes, strict=True)])
    del flat
    gc.collect()
    owner = drawn.integers(0, len(sizes), 64)
    local = drawn.integers(0, np.array(sizes)[owner])
    out = np.empty((64, *length), dtype)
    maps.gather(owner, local, out)
    wanted = b"".join(held[part][row].tobytes() for part, row in zip(owner.tolist(), local.tolist(), strict=True))
    assert out.tobytes() == wanted
