"""Conversations go out as the tokens and masks that transformers makes of them by the same template and tokenizer.

The releases are written by the environment of ``make test``, for the one of the frameworks has no stack.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from warehouse.loader import Loader
from warehouse.manifest import read_manifest

transformers = pytest.importorskip("transformers", reason="needs transformers: make test-frameworks")

from sent_chats import sent


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> list[Path]:
    command = [checkout / ".venv" / "bin" / "python", "tests/frameworks/write_chats.py", tmp_path_factory.mktemp("w")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=checkout)
    return [Path(line) for line in done.stdout.split()]


def test_labels_are_the_next_token_where_it_is_learnt(releases: list[Path]) -> None:
    torch_data = pytest.importorskip("warehouse.loader.torch", reason="needs torch: make test-frameworks")
    for path in releases:
        plain = Loader(path, batch=4, drop_last=False).batches(boundaries=True, loss_mask=True)
        data = torch_data.token_dataset(path, batch=4, drop_last=False, labels=True)
        for batch, expected in zip(data, plain, strict=True):
            assert batch["tokens"].tolist() == expected.tokens.tolist()
            for labels, tokens, mask, bounds in zip(
                batch["labels"].tolist(), expected.tokens.tolist(), expected.loss_mask, expected.boundaries, strict=True
            ):
                ends = set(bounds.tolist())
                after = [at + 1 not in ends and bool(mask[at + 1]) for at in range(len(tokens) - 1)]
                wanted = [tokens[at + 1] if learnt else torch_data.IGNORED for at, learnt in enumerate(after)]
                assert labels == [*wanted, torch_data.IGNORED]


def test_ids_and_masks_are_those_of_apply_chat_template(releases: list[Path]) -> None:
    """But where a message spells a special token: transformers makes it one, and here it stays text."""
    assert [path.parent.name for path in releases] == ["chatml", "llama3", "alpaca", "own"]
    for path in releases:
        manifest, recipe = read_manifest(path), path / "recipe"
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(recipe / "tokenizer.json"),
            **{"eos_token": "<|endoftext|>", "pad_token": "<|pad|>", "bos_token": manifest.chat["bos"] or None},
        )
        special = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items()}
        tokenizer.chat_template = (recipe / "template.jinja").read_text("utf-8")
        found = list(sent(path, manifest))
        assert sum(len(each.ids) for each in found) == sum(split.tokens for split in manifest.splits.values())
        learnt = spelled = 0
        for each in found:
            expected = tokenizer.apply_chat_template(
                each.row["messages"],
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
                loss=manifest.chat["loss"],
            )
            where, learnt = (path.parent.name, each.row["key"]), learnt + sum(each.learnt)
            if any(token in message["content"] for message in each.row["messages"] for token in special.values()):
                both = each.ids, expected["input_ids"]
                ours, theirs = (tokenizer.decode(ids, skip_special_tokens=False) for ids in both)
                fewer, more = (sum(token in special for token in ids) for ids in both)
                assert ours == theirs and fewer < more, where
                spelled += 1
            else:
                assert each.ids == expected["input_ids"], where
                assert each.learnt == expected["assistant_masks"], where
        assert learnt == manifest.chat["learnt"] > 1000 and 0 < spelled < 20
