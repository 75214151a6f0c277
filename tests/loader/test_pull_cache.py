"""A cache holds what plain Python says that it holds, is never larger than allowed, and removes nothing in use."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import with_tests
from written_release import write_release

from warehouse.errors import StorageFull
from warehouse.loader import Loader, cached, offered, pull
from warehouse.loader.pulling import Offer
from warehouse.manifest import read_any

SAMPLES = (5, 40, 90, 200)


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> list[Offer]:
    """Releases of several sizes, the last a part of another."""
    home = tmp_path_factory.mktemp("releases")
    made = [write_release(home / str(size), (size, size)) for size in SAMPLES]
    return [offered(release) for release in made]


def held(cache: Path) -> set[str]:
    """The releases in a cache, each of them whole."""
    found = {path.name for path in cache.iterdir() if path.is_dir()}
    assert {path.parent.name for path in cache.glob("*/manifest.json")} == found
    return found


def size_of(folder: Path) -> int:
    return sum(entry.bytes for entry in read_any(folder).files.values())


@settings(max_examples=15)
@given(uses=st.lists(st.integers(0, len(SAMPLES) - 1), max_size=12), share=st.sampled_from((0.4, 0.7, 1.0)))
def test_a_cache_holds_those_used_last_and_never_more_than_allowed(
    offers: list[Offer], uses: list[int], share: float
) -> None:
    most = int(sum(offer.size for offer in offers) * share)
    expected: OrderedDict[str, int] = OrderedDict()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        for number in uses:
            offer = offers[number]
            if offer.size > most:
                with pytest.raises(StorageFull, match="nothing was removed"), cached(offer, cache, most_bytes=most):
                    pass
                continue
            expected.pop(offer.key, None)
            while sum(expected.values()) + offer.size > most:
                expected.popitem(last=False)
            expected[offer.key] = offer.size
            with cached(offer, cache, most_bytes=most) as done:
                assert done.path == cache / offer.key
                assert len(list(Loader(done.path, batch=5))) == SAMPLES[number] * 2 // 5
            assert held(cache) == set(expected)
            assert sum(size_of(cache / name) for name in held(cache)) <= most


HOLD = """
import sys
from warehouse.loader import cached, offered
with cached(offered(sys.argv[1]), sys.argv[2], most_bytes=int(sys.argv[3])):
    print("in use", flush=True)
    sys.stdin.read()
"""


def test_a_release_in_use_by_any_process_is_not_removed(offers: list[Offer], tmp_path: Path) -> None:
    small, middle, large, largest = offers
    most = large.size + middle.size
    command = [sys.executable, "-c", HOLD, middle.origin.shown, str(tmp_path), str(most)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=with_tests(), text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in use\n"
        with cached(small, tmp_path, most_bytes=most):
            pass
        with cached(large, tmp_path, most_bytes=most):
            assert held(tmp_path) == {middle.key, large.key}, "small went, though it was used later"
            with (
                pytest.raises(StorageFull, match=f"where {most:,} are in use"),
                cached(small, tmp_path, most_bytes=most),
            ):
                pass
        holder.kill()
    with cached(largest, tmp_path, most_bytes=largest.size):
        assert held(tmp_path) == {largest.key}


def test_one_release_may_be_used_twice_at_once_and_a_part_is_another(offers: list[Offer], tmp_path: Path) -> None:
    whole = offers[1]
    part = offered(whole.origin.shown, splits=["train"], rank=1, world=2)
    assert part.key != whole.key
    with ExitStack() as stack:
        for offer in (whole, whole, part):
            stack.enter_context(cached(offer, tmp_path, most_bytes=whole.size * 2))
        assert held(tmp_path) == {whole.key, part.key}


def test_a_pull_that_was_killed_in_the_cache_counts_and_makes_room(offers: list[Offer], tmp_path: Path) -> None:
    small, middle, *_ = offers
    code = "from killing import killing\nimport os\nos.pwrite = killing(os.pwrite, 'after 1')\n" + HOLD
    command = [sys.executable, "-c", code, middle.origin.shown, str(tmp_path), str(middle.size)]
    assert subprocess.run(command, env=with_tests(), check=False).returncode == -9
    assert (tmp_path / middle.key).is_dir()
    with cached(small, tmp_path, most_bytes=middle.size):
        assert held(tmp_path) == {small.key}
    pull(middle.origin.shown, tmp_path / "outside")
