"""A release as its origin offers it: the manifest alone is fetched, and what it lists is known to lie below it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from warehouse import signature
from warehouse.errors import IntegrityError, UsageError
from warehouse.loader.origin import Origin, find
from warehouse.manifest import BLOCK_BYTES, NAME, PART, REVOKED, AnyManifest, Part, decode, portion, taken_back
from warehouse.signature import SIGNATURE

MARK, LOCK, DRAFT = ".pull.json", ".pull.lock", ".pull.draft"
OWN = (MARK, LOCK, DRAFT, NAME, PART, REVOKED, SIGNATURE)
"""What no file of a release may be called: a pull's own."""


@dataclass(frozen=True)
class Offer:
    """A release as its origin offers it: the manifest's bytes, and what is wanted of it (None: everything)."""

    origin: Origin
    raw: bytes
    whole: AnyManifest
    part: Part | None = None
    signed: bytes | None = None
    known_why: str | None = None

    @cached_property
    def wanted(self) -> AnyManifest:
        """The manifest, of the part alone where one is wanted."""
        return self.whole if self.part is None else portion(self.whole, self.part)

    @property
    def size(self) -> int:
        """Bytes of the wanted files."""
        return sum(entry.bytes for entry in self.wanted.files.values())

    @property
    def key(self) -> str:
        """A name for a folder that holds it."""
        splits = self.part.splits if self.part and self.part.splits != tuple(self.whole.splits) else ()
        return ".".join([self.wanted.id, *splits])

    @property
    def mark(self) -> bytes:
        """What tells this release, and this part of it, from any other."""
        return as_json({"manifest": hashlib.sha256(self.raw).hexdigest(), "part": self.part and asdict(self.part)})

    def refuse_revoked(self) -> None:
        """Raise Revoked, with the reason, where the release was taken back by now."""
        why, said = self.known_why, self.origin.small(REVOKED)
        if said is not None:
            try:
                why = str(json.loads(said)["why"])
            except (ValueError, KeyError, TypeError):
                raise IntegrityError(f"{self.origin.shown}/{REVOKED} gives no reason", do="check the origin") from None
        if why is not None:
            raise taken_back(self.origin.shown, why)


def offered(
    location: Path | str,
    *,
    rank: int = 0,
    world: int = 1,
    splits: Sequence[str] = (),
    key: Path | None = None,
    headers: Mapping[str, str] | None = None,
    allow_private: bool = False,
) -> Offer:
    """What lies at a location: nothing but the manifest, and its signature, is fetched. Options as of ``pull``."""
    found = find(location, headers=headers, private=allow_private)
    where, signed = f"{found.origin.shown}/{NAME}", found.origin.small(SIGNATURE)
    if key is not None:
        signature.check(found.manifest, signed, key, where=where)
    whole = decode(found.manifest, where)
    _refuse_paths(whole, where)
    return Offer(found.origin, found.manifest, whole, _part(whole, rank, world, splits), signed, found.why)


def _part(manifest: AnyManifest, rank: int, world: int, splits: Sequence[str]) -> Part | None:
    """What a rank takes of these splits, all of them where none is named; None for everything."""
    if world < 1 or not 0 <= rank < world:
        raise UsageError(f"rank {rank} of a world of {world}", allowed=f"0 to {max(world, 1) - 1}")
    if not splits and world == 1:
        return None
    part = Part(tuple(splits) or tuple(manifest.splits), rank, world)
    for name in portion(manifest, part).splits:
        shards = len(manifest.splits[name].shards)
        if shards < world:
            raise UsageError(
                f"split {name!r} has {shards} shards for {world} ranks",
                allowed="a shard or more for each rank",
                do="name the splits that are read in parts (--split), and pull the others whole",
            )
    return part


def _refuse_paths(manifest: AnyManifest, where: str) -> None:
    """Raise IntegrityError for a file that would lie elsewhere than below the folder, or where something else does."""
    for path, entry in manifest.files.items():
        parts = PurePosixPath(path).parts
        inside = parts and path == "/".join(parts) and parts[0] != "/" and ".." not in parts and "\0" not in path
        sized = isinstance(entry.bytes, int) and len(entry.blocks) == -(-entry.bytes // BLOCK_BYTES)
        if not inside or not sized or path != entry.path or path in OWN:
            raise IntegrityError(f"{where} names the file {path!r:.200}", allowed="paths below it, with all blocks")


def as_json(values: Mapping[str, object]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()
