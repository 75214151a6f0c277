"""The front matter of README.md: what the Hugging Face Hub and ``datasets.load_dataset(folder)`` read of a release.

Keys and words are those of the Hub's dataset card (huggingface/hub-docs, datasetcard.md). ``configs`` name the files of
each way to read a release, the first of them the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from warehouse.datasets.licences import licence_of

SIZES = (
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M")),
    *((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T")),
)
"""The Hub's words for the number of samples below each."""


@dataclass(frozen=True, slots=True)
class Config:
    """A way to read a release: split -> pattern of its files, and split -> samples where they are known."""

    name: str
    files: Mapping[str, str]
    samples: Mapping[str, int]


def front_matter(
    *,
    name: str,
    licences: Sequence[str],
    languages: Sequence[str],
    samples: int,
    tasks: Sequence[str],
    configs: Sequence[Config],
) -> str:
    """The YAML between the two lines of dashes, without them."""
    values = {
        "pretty_name": name,
        **_licence(licences),
        "language": list(languages),
        "size_categories": [next((size for most, size in SIZES if samples < most), "n>1T")],
        "task_categories": list(tasks),
        "configs": [_config(config, default=number == 0) for number, config in enumerate(configs)],
        "dataset_info": [_counts(config) for config in configs],
    }
    stated = {key: value for key, value in values.items() if value != []}
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True)


def _licence(licences: Sequence[str]) -> dict[str, str]:
    """The one licence where the Hub has a word for it, else ``other`` and where it is explained."""
    if len(licences) == 1 and (word := licence_of(licences[0]).hub):
        return {"license": word}
    named = licences[0] if len(licences) == 1 else "several" if licences else "not-stated"
    return {"license": "other", "license_name": named, "license_link": "ATTRIBUTION.md"}


def _config(config: Config, *, default: bool) -> dict[str, Any]:
    files = [{"split": split, "path": path} for split, path in config.files.items()]
    return {"config_name": config.name, **({"default": True} if default else {}), "data_files": files}


def _counts(config: Config) -> dict[str, Any]:
    splits = [{"name": split, "num_examples": samples} for split, samples in config.samples.items()]
    return {"config_name": config.name, "splits": splits}
