"""The examples of training, small: what each promises holds on releases that the stack has written."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-frameworks")

import psutil
from scipy import stats

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path += [str(EXAMPLES), str(EXAMPLES / "container")]

import curated_against_raw
import gpt
import train
import train_forecast
import train_gpt

from warehouse.errors import CheckFailed, UsageError
from warehouse.loader import Loader
from warehouse.manifest import read_manifest

STEPS, KILLED_AT = 25, 13


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """Folders curated, raw, unseen, other and requests, each with a version 1."""
    folder = tmp_path_factory.mktemp("examples")
    command = [checkout / ".venv" / "bin" / "python", "tests/frameworks/write_examples.py", folder]
    subprocess.run(command, check=True, capture_output=True, cwd=checkout)
    return folder / "out"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_bits_per_byte_of_a_model_that_knows_nothing_are_those_of_a_uniform_choice(releases):
    release = releases / "raw" / "1"
    model, held_out = gpt.made(600, 0), gpt.HeldOut.of(release, split="validation", samples=8)
    with torch.no_grad():
        model.tokens.weight.zero_()
    loader = Loader(release, split="validation", batch=8)
    labels = [gpt.IGNORED]
    for batch in loader.batches(boundaries=True, loss_mask=True):
        for row, bounds, counts in zip(batch.tokens, batch.boundaries, batch.loss_mask, strict=True):
            inside = [place for place in range(1, len(row)) if place not in bounds and counts[place]]
            labels += row[inside].tolist()
        break
    names = json.loads((release / "recipe/tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    size = dict.fromkeys(range(2), 0) | {number: len(name) for name, number in names.items() if number > 1}
    expected = math.log2(600) * (len(labels) - 1) / sum(size[label] for label in labels[1:])
    assert held_out.bits_per_byte(model) == pytest.approx(expected, rel=1e-5)


def test_bits_per_byte_of_unseen_text_fall_and_equal_seeds_give_equal_models(releases):
    release = releases / "raw" / "1"
    held_out = gpt.HeldOut.of(releases / "unseen" / "1", split="validation", samples=16)
    before = held_out.bits_per_byte(gpt.made(600, 0))
    models = [train_gpt.train(release, steps=25, seed=0) for _ in range(2)]
    first, second = [held_out.bits_per_byte(model) for model in models]
    assert first == second
    assert first < 0.95 * before


def test_unseen_text_is_of_no_cluster_that_either_trains_on_and_another_deal_is_refused(releases):
    paths = [releases / name / "1" for name in ("curated", "raw", "unseen", "other")]
    curated_against_raw.check_comparable(*paths[:3])
    with pytest.raises(CheckFailed, match=r"clusters of the unseen text.*same seed"):
        curated_against_raw.check_comparable(paths[0], paths[1], paths[3])


@pytest.mark.parametrize(
    ("curated", "raw", "verdict"),
    [
        ((2.0, 2.1, 1.9), (2.2, 2.31, 2.09), "curated wins"),
        ((2.2, 2.31, 2.09), (2.0, 2.1, 1.9), "curated loses"),
        ((2.0, 2.3, 1.9), (2.2, 2.0, 2.1), "no difference can be told"),
    ],
)
def test_the_interval_is_students_of_the_paired_differences(curated, raw, verdict):
    found = curated_against_raw.Compared(curated, raw)
    interval = stats.ttest_rel(raw, curated).confidence_interval(0.95)
    assert (found.gain - found.half, found.gain + found.half) == pytest.approx(tuple(interval), rel=1e-3)
    assert found.verdict == verdict


def test_both_are_trained_with_each_seed_and_the_verdict_is_said(releases, monkeypatch, capsys):
    paths = [str(releases / name / "1") for name in ("curated", "raw", "unseen")]
    monkeypatch.setattr(sys, "argv", ["compare", *paths, "--steps", "2", "--seeds", "2", "--samples", "4"])
    assert curated_against_raw.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"seed {seed}, {path}") for line, (seed, path) in zip(
        said, [(seed, path) for seed in range(2) for path in paths[:2]], strict=False
    )] == [True] * 4  # fmt: skip
    assert len([line for line in said if "2 seeds: " in line]) == 2


def test_lightgbm_beats_the_median_of_the_training_rows_on_later_ones(releases):
    release = releases / "requests" / "1"
    tables = {
        split: pq.read_table([release / shard.parquet for shard in part.shards])
        for split, part in train_forecast.TableLoader(release, batch=1).manifest.splits.items()
    }
    naive = np.median(tables["train"]["generated_tokens"].to_numpy())
    missed = np.abs(tables["validation"]["generated_tokens"].to_numpy() - naive).mean()
    result = train_forecast.train(release, rounds=60, seed=0)
    assert (result.trained, result.measured) == (1600, 400)
    assert result.naive == pytest.approx(missed)
    assert result.model < 0.2 * result.naive


def started(release: Path, out: Path, checkout: Path) -> subprocess.Popen[bytes]:
    """Two processes of the job."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    job = [str(EXAMPLES / "train_ddp.py"), str(release), str(out), "--steps", str(STEPS)]
    environ = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, *job], env=environ, stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[bytes]) -> None:
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 0, error.decode()


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]


def test_two_processes_that_were_killed_go_on_to_the_loss_curve_of_no_death_to_the_last_bit(
    releases, tmp_path, checkout
):
    release, whole, cut = releases / "raw" / "1", tmp_path / "whole", tmp_path / "cut"
    finished(started(release, whole, checkout))
    job = started(release, cut, checkout)
    while not (cut / "losses.jsonl").exists() or len(curve_lines(cut)) < KILLED_AT:
        assert job.poll() is None
        time.sleep(0.01)
    for process in [*psutil.Process(job.pid).children(recursive=True), psutil.Process(job.pid)]:
        process.kill()
    job.communicate()
    assert len(curve_lines(cut)) < STEPS
    finished(started(release, cut, checkout))
    assert curve(cut) == curve(whole)
    assert [line["step"] for line in curve(whole)] == list(range(STEPS))
    first, last = (torch.load(out / "checkpoint.pt", weights_only=True)["model"] for out in (whole, cut))
    assert all(torch.equal(first[name], last[name]) for name in first)


def curve_lines(out: Path) -> list[str]:
    return (out / "losses.jsonl").read_text().splitlines()


def service(root: Path, checkout: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The container's entry point, with what a service sets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SM_", "AIP_"))}
    stated = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "RELEASE": str(root / "release")}
    stated["TRAIN_SCRIPT"] = str(EXAMPLES / "train_ddp.py")
    command = [sys.executable, str(EXAMPLES / "container" / "train.py"), *arguments]
    return subprocess.run(command, env={**kept, **stated, **environ}, capture_output=True, text=True, check=False)


def test_a_job_of_sagemaker_trains_on_its_channel_and_goes_on_when_it_is_started_again(releases, tmp_path, checkout):
    ml = tmp_path / "ml"
    (ml / "input/data").mkdir(parents=True)
    (ml / "input/data/training").symlink_to(releases / "raw" / "1")
    (ml / "input/config").mkdir()
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
    (ml / "input/config/resourceconfig.json").write_text(json.dumps(hosts))
    for steps in (3, 6):
        (ml / "input/config/hyperparameters.json").write_text(json.dumps({"steps": str(steps), "seed": "4"}))
        done = service(tmp_path, checkout, ML_ROOT=str(ml))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(read_manifest(releases / "raw" / "1").id)
        assert [line["step"] for line in curve(ml / "model")] == list(range(steps))
    assert " 0 bytes fetched" in done.stdout
    assert torch.load(ml / "model" / "checkpoint.pt", weights_only=True)["step"] == 6


def test_a_job_of_vertex_trains_from_and_to_its_mounted_bucket(releases, tmp_path, checkout):
    bucket = tmp_path / "gcs" / "bucket"
    bucket.mkdir(parents=True)
    stated = {
        "AIP_TRAINING_DATA_URI": str(releases / "raw" / "1"),
        "AIP_MODEL_DIR": "gs://bucket/job/model/",
        "AIP_CHECKPOINT_DIR": "gs://bucket/job/checkpoints/",
        "GCS_ROOT": str(tmp_path / "gcs"),
        "ML_ROOT": str(tmp_path / "none"),
    }
    done = service(tmp_path, checkout, "--steps", "2", PROCESSES="2", RANK="0", WORLD_SIZE="1", **stated)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (bucket / "job/model").iterdir()} == {"checkpoint.pt", "losses.jsonl"}
    assert (bucket / "job/checkpoints/checkpoint.pt").is_file()


def test_what_a_service_says_of_machines_becomes_torchruns_options(tmp_path):
    stated = tmp_path / "resourceconfig.json"
    stated.write_text(json.dumps({"current_host": "algo-2", "hosts": ["algo-2", "algo-1"]}))
    of_vertex = {"MASTER_ADDR": "chief", "MASTER_PORT": "2222", "WORLD_SIZE": "3", "RANK": "2", "PROCESSES": "4"}
    options = ("--nnodes", "2", "--node-rank", "1", "--master-addr", "algo-1", "--master-port", "29500")
    assert train.machines(stated, {}) == ("--nproc-per-node", "1", *options)
    options = ("--nnodes", "3", "--node-rank", "2", "--master-addr", "chief", "--master-port", "2222")
    assert train.machines(tmp_path / "none", of_vertex) == ("--nproc-per-node", "4", *options)
    assert train.machines(tmp_path / "none", {}) == ("--standalone", "--nproc-per-node", "1")


def test_what_a_service_lacks_is_said_in_one_line(tmp_path, checkout):
    done = service(tmp_path, checkout, ML_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no channel 'training'" in done.stderr
    with pytest.raises(UsageError, match="not mounted at /gcs/bucket"):
        train.mounted("gs://bucket/model", {})
