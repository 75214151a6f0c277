"""Loops over data sets of torch: in workers of a DataLoader, in ranks of a gloo group."""

from __future__ import annotations

import multiprocessing
from itertools import islice
from operator import itemgetter
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from warehouse.loader.torch import tracked


def seen(batches) -> list[list[int]]:
    return [batch["samples"].tolist() for batch in batches]


def loader_of(data, workers: int, **options) -> DataLoader:
    return DataLoader(data, batch_size=None, num_workers=workers, **options)


def of_rank(rank: int, *, world: int, store: Path, dataset, steps: int, state, sent) -> None:
    """What a process of a torch.distributed group gets in ``steps`` steps from ``state``, and what all agree on."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    data = dataset()
    if state:
        data.load_state_dict(state)
    found = seen(islice(tracked(loader_of(data, 2)), steps))
    states = [None] * world
    torch.distributed.all_gather_object(states, data.state_dict())
    torch.distributed.destroy_process_group()
    sent.put((rank, found, states))


def of_world(world: int, store: Path, dataset, steps: int, state=None) -> tuple[list[list[int]], dict]:
    """The global batches that ``world`` processes get together, and the state that they end in."""
    context = multiprocessing.get_context("fork")
    sent = context.SimpleQueue()
    shared = {"world": world, "store": store, "dataset": dataset, "steps": steps, "state": state, "sent": sent}
    ranks = [context.Process(target=of_rank, args=(rank,), kwargs=shared) for rank in range(world)]
    for process in ranks:
        process.start()
    parts = sorted((sent.get() for _ in ranks), key=itemgetter(0))
    for process in ranks:
        process.join()
    assert all(each == parts[0][2][0] for _, _, states in parts for each in states)
    steps_of = zip(*(found for _, found, _ in parts), strict=True)
    return [[number for part in step for number in part] for step in steps_of], parts[0][2][0]
