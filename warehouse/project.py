"""Where a project lies and where its data lives: a folder with ``warehouse.toml``, found upwards from where one works.

Built-in ``sql/`` and ``expectations/`` travel with the package; a file of the project with the same relative path takes
the place of a built-in one. Nothing here reads data.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from warehouse import mirror, stores
from warehouse.contracts import Freshness, Words, seconds
from warehouse.errors import FormatError, NotFound, RecipeError, UsageError

MARKER = "warehouse.toml"
FORMAT_VERSION = "1"
ENERGY_KEYS = {
    "grid": "an ISO 3166 code such as DEU, or world",
    "tdp_w": "watts of one processor",
    "threads": "hardware threads of one processor",
}
WORLD = "world"
"""The grid that is taken where none is stated."""
KEYS = {
    "name": str,
    "root": str,
    "state": str,
    "cache": str,
    "signing_key": str,
    "builtin": bool,
    "memory_limit": str,
    "fresh_within": str,
    "rule_sets": list,
    "words": str,
    "threads": int,
    "schedule": dict,
    "energy": dict,
    "maintenance": dict,
}
FURTHER_RULE_SETS = ("dolma", "nemo")
"""Built-in rule sets that a project decides by only if it asks, for every set costs time in every run."""
MOST_THREADS = 1024
SHORTEST_KEEP_S = 3600
"""A version that is replaced stays readable for this long at least: who reads it now is not disturbed."""
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(i?)B")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[#?\\\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Energy:
    """What ``[energy]`` of warehouse.toml states; None is found out. tdp_w and threads: of one whole processor."""

    grid: str = WORLD
    tdp_w: float | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When everything is run by itself, as a cron line in a time zone. on: from the start, since the project states it;
    else it waits to be switched on in the UI.
    """

    nightly: str = "0 2 * * *"
    timezone: str = "UTC"
    on: bool = False


@dataclass(frozen=True, slots=True)
class Maintenance:
    """When tables are kept in shape by themselves, as a cron line in the time zone of [schedule], and for how many
    seconds a version of a table stays readable after the next one came: keep_s, or what ``tables`` says of it.

    on: from the start, since the project states it; else it waits to be switched on in the UI.
    """

    schedule: str = "0 4 * * *"
    keep_s: int = 7 * 86_400
    tables: Mapping[str, int] = field(default_factory=dict)
    on: bool = False

    def kept_s(self, table: str) -> int:
        """Seconds for which a replaced version of the table stays readable."""
        return self.tables.get(table, self.keep_s)


@dataclass(frozen=True, slots=True)
class Project:
    """A project's folder, its data root and its local state.

    name: of the project; folder: holds warehouse.toml; root: the data (``WAREHOUSE_ROOT``, default
    ``<folder>/.warehouse``); state: always local (``WAREHOUSE_STATE``, default ``<root>/state``), Dagster's home. Data
    in a bucket is mirrored below the state, in at most cache_bytes, and root is the folder that mirrors it.
    memory_limit: what DuckDB may hold in a step of a run, by default 200 MB a core; beyond it, it spills to disk.
    fresh_within: how old the published snapshot may be. rule_sets: of FURTHER_RULE_SETS, those to decide by as well.
    words: how signals cut words. threads: how many objects are read, and how many threads measure documents, at once.
    signing_key: the PEM file by which releases are signed (``WAREHOUSE_SIGNING_KEY``), None for none.
    """

    name: str
    folder: Path
    root: Path
    state: Path
    builtin: bool = True
    memory_limit: str = "400MB"
    energy: Energy = Energy()
    schedule: Schedule = Schedule()
    fresh_within: Freshness | None = None
    rule_sets: tuple[str, ...] = ()
    words: Words = "spacy_en"
    threads: int = 1
    maintenance: Maintenance = Maintenance()
    cache_bytes: int = 50 * 10**9
    signing_key: Path | None = None

    @property
    def marker(self) -> Path:
        return self.folder / MARKER

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    def files(self, kind: str, pattern: str) -> list[Path]:
        """Files of ``kind`` (``sql``, ``recipes/sources``...) by relative path, the project's over the built-in.

        Built-in rule sets that the project does not ask for are left out.
        """
        found: dict[str, Path] = {}
        unasked = {builtin_folder() / f"sql/curation/{name}.sql" for name in {*FURTHER_RULE_SETS} - {*self.rule_sets}}
        for base in _bases(self, kind):
            for path in sorted(base.rglob(pattern)):
                if path not in unasked:
                    found[path.relative_to(base).as_posix()] = path
        return [found[name] for name in sorted(found)]


def builtin_folder() -> Path:
    """The folder that holds the built-in sql/ and expectations/: the package data, or the checkout itself."""
    packaged = Path(__file__).parent / "builtin"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent


def _bases(project: Project, kind: str) -> list[Path]:
    own = project.folder / kind
    if kind.startswith("recipes") or not project.builtin:
        return [own]
    built_in = builtin_folder() / kind
    return [built_in] if built_in.resolve() == own.resolve() else [built_in, own]


def find(start: Path | None = None) -> Project:
    """The project that ``start`` (default: the working directory) lies in.

    Raises NotFound when no folder upwards holds warehouse.toml, RecipeError when that file is not as it should be.
    """
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / MARKER).is_file():
            return load(folder)
    raise NotFound(
        f"no {MARKER} in {begin} or above it",
        do="run 'warehouse init' to make a project here, or name one with --project DIR",
    )


def load(folder: Path) -> Project:
    """The project in ``folder``; environment variables WAREHOUSE_ROOT and WAREHOUSE_STATE override its places.

    Raises RecipeError for what warehouse.toml has not right, UsageError for a place that is a URL.
    """
    marker = folder / MARKER
    try:
        values = tomllib.loads(marker.read_text("utf-8")) if marker.stat().st_size else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{marker}: {error}", allowed=f"TOML with the keys {', '.join(KEYS)}") from None
    _check(marker, values)
    stated, state = _place(marker, values, "root") or ".warehouse", _place(marker, values, "state")
    remote = stores.is_store(stated)
    root = folder / (".warehouse" if remote else stated)
    local = folder / state if state else root / "state"
    if remote:
        root = local / "mirror" / hashlib.sha256(stated.encode()).hexdigest()[:16]
        mirror.make(root, stated)
    return Project(
        values.get("name", folder.name),
        folder,
        root.absolute(),
        local.absolute(),
        values.get("builtin", True),
        values.get("memory_limit", f"{200 * len(os.sched_getaffinity(0))}MB"),
        energy=Energy(**values.get("energy", {})),
        schedule=_schedule(marker, values.get("schedule")),
        fresh_within=Freshness.stated(values.get("fresh_within", "")),
        rule_sets=tuple(values.get("rule_sets", ())),
        words=values.get("words", "spacy_en"),
        threads=values.get("threads", 1),
        maintenance=_maintenance(marker, values.get("maintenance")),
        cache_bytes=bytes_of(values.get("cache", "50GB")),
        signing_key=folder / key if (key := _place(marker, values, "signing_key")) else None,
    )


def _place(marker: Path, values: Mapping[str, Any], key: str) -> str | None:
    """The place that ``WAREHOUSE_<KEY>``, else the key states. Raises UsageError for a URL but a bucket as the root."""
    variable = f"WAREHOUSE_{key.upper()}"
    stated = os.environ.get(variable)
    found = stated or values.get(key)
    bucket = key == "root" and found is not None and stores.is_store(found)
    if found and not bucket and (scheme := SCHEME.match(found)):
        came, allowed = f"{scheme[0]} as the {key} of a project", "a folder of this machine, or one that is mounted"
        allowed += f", or {', '.join(f'{name}://' for name in stores.SCHEMES)}" if key == "root" else ""
        raise UsageError(f"{variable}: {came}", allowed=allowed) if stated else _refusal(marker, (key,), came, allowed)
    return found


def _schedule(marker: Path, stated: Mapping[str, Any] | None) -> Schedule:
    """The schedule that [schedule] states; its cron line is checked where Dagster reads it."""
    if stated is None:
        return Schedule()
    for key, value in stated.items():
        if key not in ("nightly", "timezone"):
            raise _refusal(marker, ("schedule", key), f"unknown key {key!r} in [schedule]", "nightly, timezone")
        if not isinstance(value, str):
            raise _refusal(marker, ("schedule", key), f"{key} is {value!r}", f"{key} = a str")
    made = Schedule(**stated, on=True)
    try:
        ZoneInfo(made.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        said = f"timezone is {made.timezone!r}"
        raise _refusal(marker, ("schedule", "timezone"), said, "a time zone such as UTC or Europe/Zurich") from None
    return made


def _maintenance(marker: Path, stated: Mapping[str, Any] | None) -> Maintenance:
    """What [maintenance] states; its cron line is checked where Dagster reads it."""
    if stated is None:
        return Maintenance()
    allowed = {"schedule": str, "keep": str, "tables": dict}
    for key, value in stated.items():
        if key not in allowed:
            raise _refusal(marker, ("maintenance", key), f"unknown key {key!r} in [maintenance]", ", ".join(allowed))
        if not isinstance(value, allowed[key]):
            kind = "table" if allowed[key] is dict else "str"
            raise _refusal(marker, ("maintenance", key), f"{key} is {value!r}", f"{key} = a {kind}")
    keep_s = _kept_s(marker, ("keep",), stated.get("keep", "7d"))
    tables = {name: _kept_s(marker, ("tables", name), span) for name, span in stated.get("tables", {}).items()}
    cron = {key: stated[key] for key in ("schedule",) if key in stated}
    return Maintenance(**cron, keep_s=keep_s, tables=tables, on=True)


def bytes_of(size: str) -> int:
    """Bytes of a size such as 400MB (10^6) or 4GiB (2^30)."""
    [(number, unit, binary)] = SIZE.findall(size)
    return int(float(number) * (1024 if binary else 1000) ** ("KMGT".index(unit) + 1))


def _kept_s(marker: Path, key: tuple[str, ...], span: Any) -> int:
    found = seconds(str(span))
    if found is None or found < SHORTEST_KEEP_S:
        said = f"{'.'.join(key)} is {span!r}"
        raise _refusal(marker, ("maintenance", *key), said, "a span of an hour or more, such as 36h or 7d")
    return found


def _check(marker: Path, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key not in KEYS:
            raise _refusal(marker, (key,), f"unknown key {key!r}", ", ".join(KEYS))
        if not isinstance(value, KEYS[key]):
            kind = "table" if KEYS[key] is dict else KEYS[key].__name__
            raise _refusal(marker, (key,), f"{key} is {value!r}", f"{key} = a {kind}")
        if key in ("memory_limit", "cache") and not SIZE.fullmatch(str(value)):
            raise _refusal(marker, (key,), f"{key} is {value!r}", "a size such as 400MB or 4GB")
        if key == "fresh_within" and Freshness.stated(str(value)) is None:
            raise _refusal(marker, (key,), f"fresh_within is {value!r}", "a span of a minute or more, such as 36h")
        if key == "words" and value not in get_args(Words):
            raise _refusal(marker, (key,), f"words is {value!r}", ", ".join(get_args(Words)))
        if key == "threads" and (isinstance(value, bool) or not 1 <= int(str(value)) <= MOST_THREADS):
            raise _refusal(marker, (key,), f"threads is {value!r}", f"a whole number from 1 to {MOST_THREADS}")
    _check_rule_sets(marker, values.get("rule_sets", []))
    _check_energy(marker, values.get("energy", {}))


def _check_rule_sets(marker: Path, names: Sequence[Any]) -> None:
    for name in names:
        if name not in FURTHER_RULE_SETS:
            allowed = f"{', '.join(FURTHER_RULE_SETS)}; c4, fineweb, gopher and house always decide"
            raise _refusal(marker, ("rule_sets",), f"no rule set {name!r} to ask for", allowed)


def _check_energy(marker: Path, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key not in ENERGY_KEYS:
            raise _refusal(marker, ("energy", key), f"unknown key {key!r} in [energy]", ", ".join(ENERGY_KEYS))
        number = isinstance(value, int if key == "threads" else (int, float)) and not isinstance(value, bool)
        if not (isinstance(value, str) if key == "grid" else number and 0 < value <= 100_000):
            raise _refusal(marker, ("energy", key), f"{key} is {value!r}", f"{key} = {ENERGY_KEYS[key]}")
    if "tdp_w" in values and "threads" not in values:
        raise _refusal(marker, ("energy", "tdp_w"), "tdp_w without threads", "both, of one processor, or threads alone")


def _refusal(marker: Path, key: tuple[str, ...], came: str, allowed: str) -> RecipeError:
    return RecipeError(f"{line_of(marker, key)}: {came}", allowed=allowed)


def line_of(marker: Path, key: tuple[str, ...]) -> str:
    """``file:line`` of a key of a TOML file; of its last part after its table's own line."""
    found = 0
    lines = marker.read_text("utf-8").splitlines()
    for part in key:
        word = re.compile(rf"""(?:^|[\s{{\[.,"'])({re.escape(part)})["']?\s*[=\].]""")
        found = next((at for at in range(found, len(lines)) if word.search(lines[at].partition("#")[0])), found)
    return f"{marker}:{found + 1}"


def refuse_misread(folder: Path) -> None:
    """Raise UsageError for a folder whose path the Delta library takes for a URL, or that no path can hold."""
    if MISREAD.search(str(folder.absolute())):
        raise UsageError(
            f"the folder {str(folder)!r} cannot hold tables: the Delta library takes it for a URL",
            allowed="paths without #, ?, backslash, control characters, and % before two hexadecimal digits",
            do="rename the folder or set WAREHOUSE_ROOT and WAREHOUSE_STATE",
        )


def write_whole(path: Path, text: str) -> None:
    """The file with this text, in UTF-8; where the disk is full it is not there, or as it was."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def prepare(project: Project) -> None:
    """Make the data root, or check that it was made by this format version.

    Raises FormatError if by another, UsageError for a root or state whose path cannot be used.
    """
    refuse_misread(project.root)
    refuse_misread(project.state)
    stamp = mirror.refresh(project.root / "format_version")
    if not stamp.exists():
        project.root.mkdir(parents=True, exist_ok=True)
        write_whole(stamp, FORMAT_VERSION + "\n")
        mirror.send(stamp)
    came = stamp.read_text().strip()
    if came != FORMAT_VERSION:
        raise FormatError(
            f"{project.root} has format version {came!r}",
            allowed=FORMAT_VERSION,
            do="use the release of ml-warehouse that wrote it, or another WAREHOUSE_ROOT",
        )
    project.state.mkdir(parents=True, exist_ok=True)
    mirror.tidy(project.root, most_bytes=project.cache_bytes)
