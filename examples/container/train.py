"""What a training service starts: bring the release of a channel here, train on it, leave the model where it belongs.

The same file serves Amazon SageMaker and Vertex AI, and anything else that says where things are by these variables.

what        | SageMaker                                          | Vertex AI
data        | SM_CHANNEL_TRAINING, else input/data/training      | AIP_TRAINING_DATA_URI
checkpoints | checkpoints (which the service copies to S3)       | AIP_CHECKPOINT_DIR
model       | SM_MODEL_DIR, else model                           | AIP_MODEL_DIR
options     | input/config/hyperparameters.json, else arguments  | arguments
machines    | input/config/resourceconfig.json                   | MASTER_ADDR, MASTER_PORT, WORLD_SIZE, RANK

Relative places lie below ML_ROOT (/opt/ml). gs://BUCKET is taken below GCS_ROOT (/gcs), where Vertex AI mounts
buckets. SageMaker's own toolkit is not needed: it is what sets SM_* in its images. PROCESSES
(default 1) start on each machine. The release is brought to RELEASE (/opt/train/release). WAREHOUSE_KEY names a public
key that it must be signed by. TRAIN_SCRIPT (train_ddp.py beside this file) gets the release and the folder of
checkpoints, then the options.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import UsageError, WarehouseError
from warehouse.loader import pull

PORT = "29500"
CHANNEL = "training"
FILES = ("checkpoint.pt", "losses.jsonl")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the service has things: out is kept from one start of the job to the next, model after the job."""

    out: Path
    model: Path
    options: tuple[str, ...]
    machines: tuple[str, ...]


def places(environ: Mapping[str, str], arguments: list[str]) -> Places:
    """As the service says."""
    root = Path(environ.get("ML_ROOT", "/opt/ml"))
    return Places(
        mounted(environ.get("AIP_CHECKPOINT_DIR") or str(root / "checkpoints"), environ),
        mounted(environ.get("SM_MODEL_DIR") or environ.get("AIP_MODEL_DIR") or str(root / "model"), environ),
        options(root / "input/config/hyperparameters.json", arguments),
        machines(root / "input/config/resourceconfig.json", environ),
    )


def mounted(place: str, environ: Mapping[str, str]) -> Path:
    """A folder, or the mount of a bucket. Raises UsageError for a bucket that is not mounted."""
    if not place.startswith("gs://"):
        return Path(place)
    bucket, _, rest = place.removeprefix("gs://").partition("/")
    mount = Path(environ.get("GCS_ROOT", "/gcs")) / bucket
    if not mount.is_dir():
        raise UsageError(f"{place}, which is not mounted at {mount}", allowed="a mounted bucket", do="mount it there")
    return mount / rest


def options(stated: Path, arguments: list[str]) -> tuple[str, ...]:
    """Hyperparameters as options of the training script; SageMaker gives every value as text."""
    if not stated.is_file():
        return tuple(arguments)
    values = json.loads(stated.read_text())
    return tuple(word for name, value in values.items() for word in (f"--{name}", str(value)))


def machines(stated: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Options of torchrun: who takes part, and which of them this is."""
    each = ("--nproc-per-node", environ.get("PROCESSES", "1"))
    if stated.is_file():
        said = json.loads(stated.read_text())
        hosts = sorted(said["hosts"])
        count, number, first, port = len(hosts), hosts.index(said["current_host"]), hosts[0], PORT
    else:
        count, number = int(environ.get("WORLD_SIZE", "1")), int(environ.get("RANK", "0"))
        first, port = environ.get("MASTER_ADDR", "localhost"), environ.get("MASTER_PORT", PORT)
    if count == 1:
        return ("--standalone", *each)
    return (*each, "--nnodes", str(count), "--node-rank", str(number), "--master-addr", first, "--master-port", port)


def channels(environ: dict[str, str]) -> None:
    """Name the folder of the channel as SageMaker's toolkit would, where the image has none."""
    folder = Path(environ.get("ML_ROOT", "/opt/ml")) / "input/data" / CHANNEL
    if folder.is_dir():
        environ.setdefault(f"SM_CHANNEL_{CHANNEL.upper()}", str(folder))


def main(arguments: list[str]) -> int:
    """Exit status of the training script; 1 or 2 with one line on what is wrong before it starts."""
    channels(os.environ)
    try:
        there = places(os.environ, arguments)
        copy = pull(f"channel:{CHANNEL}", Path(os.environ.get("RELEASE", "/opt/train/release")), key=key(os.environ))
    except WarehouseError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_status
    print(f"{copy.id}: {copy.fetched:,} bytes fetched", flush=True)
    there.out.mkdir(parents=True, exist_ok=True)
    script = os.environ.get("TRAIN_SCRIPT", str(Path(__file__).with_name("train_ddp.py")))
    command = [sys.executable, "-m", "torch.distributed.run", *there.machines, script, str(copy.path), str(there.out)]
    ended = subprocess.run([*command, *there.options], check=False, env=without_group(os.environ)).returncode
    if not ended:
        there.model.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (there.out / name).is_file():
                shutil.copyfile(there.out / name, there.model / name)
    return ended


def key(environ: Mapping[str, str]) -> Path | None:
    """The public key that must have signed the release."""
    return Path(environ["WAREHOUSE_KEY"]) if environ.get("WAREHOUSE_KEY") else None


def without_group(environ: Mapping[str, str]) -> dict[str, str]:
    """torchrun gives each process its own of these."""
    return {name: value for name, value in environ.items() if name not in {"RANK", "WORLD_SIZE", "LOCAL_RANK"}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
