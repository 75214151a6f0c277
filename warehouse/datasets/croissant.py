"""croissant.json: the release in JSON-LD as catalogues and search engines read it, from manifest and recipe alone.

Croissant 1.1 (MLCommons) over schema.org, with the terms of RAI 1.0 of which the manifest has facts. Every content
file is a FileObject with its size and sha256; what is Parquet or JSON is a RecordSet too. The version is the manifest's
schema with the id, as a semantic version with its build: the number on the shelf is not of the release itself. Lost:
the ids of a .bin are bytes to Croissant, which knows no flat arrays. ``datePublished``, which it recommends, stands
there only where the recipe gives one, for a date of its own would differ from day to day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.datasets.credits import Credits
from warehouse.datasets.licences import UNKNOWN, licence_of
from warehouse.manifest import SCHEMA_VERSION, FileEntry

Node = dict[str, Any]

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")

CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
}
"""The names that the specification's appendix gives, as far as mlcroissant looks for them."""

FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".tar": "application/x-tar",
    ".yaml": "application/yaml",
    ".sql": "application/sql",
    ".md": "text/markdown",
}
BYTES = "application/octet-stream"

_TYPES = {
    "bool": "sc:Boolean",
    "double": "cr:Float64",
    "float": "cr:Float32",
    **{f"{sign}int{bits}": f"cr:{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def croissant(
    *,
    name: str,
    identity: str,
    description: str,
    credits: Credits,
    licences: Sequence[str],
    languages: Sequence[str],
    files: Mapping[str, FileEntry],
    records: Sequence[Node],
    splits: Mapping[str, int],
    rai: Mapping[str, Any],
) -> str:
    """The whole file. records: of ``record_set``; splits: name -> samples; rai: terms of the RAI vocabulary."""
    values = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": name,
        "description": description,
        "version": f"{SCHEMA_VERSION}.0.0+{identity}",
        "identifier": identity,
        "isLiveDataset": False,
        "license": [address for stated in licences for address in _addresses(stated)],
        "inLanguage": list(languages),
        **credits.as_schema_org(),
        **{f"rai:{term}": value for term, value in rai.items()},
        "distribution": [*map(_file, files.values()), *_sets(records)],
        "recordSet": [_splits(splits), *({key: each[key] for key in each if key != "files"} for each in records)],
    }
    stated = {key: value for key, value in values.items() if value not in ("", [], None)}
    return json.dumps(stated, indent=1, ensure_ascii=False) + "\n"


def _addresses(stated: str) -> Sequence[str]:
    """Where the texts of a licence are; the words that were stated where none is known."""
    return licence_of(stated).addresses or ([] if stated == UNKNOWN else [stated])


def _file(entry: FileEntry) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path,
        "contentUrl": entry.path,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": FORMATS.get(Path(entry.path).suffix, BYTES),
        "sha256": entry.sha256,
    }


def _sets(records: Sequence[Node]) -> Iterator[Node]:
    """A FileSet of the files of each record set."""
    for each in records:
        pattern = each["files"]
        yield {
            "@type": "cr:FileSet",
            "@id": f"files/{each['@id']}",
            "name": f"files of {each['@id']}",
            "encodingFormat": FORMATS[Path(pattern[0]).suffix],
            "includes": pattern,
        }


def _splits(splits: Mapping[str, int]) -> Node:
    """The splits and their samples, as records that stand in the file itself."""
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "splits/name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/samples", "name": "splits/samples", "dataType": "cr:Int64"},
        ],
        "data": [{"splits/name": name, "splits/samples": samples} for name, samples in splits.items()],
    }


def record_set(name: str, files: Sequence[str], schema: pa.Schema, *, about: str, key: Sequence[str] = ()) -> Node:
    """The records of files of one format, a field a column; files: their paths, or patterns of them."""
    fields = [_field(name, column) for column in schema]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": about,
        "key": [{"@id": f"{name}/{column}"} for column in key],
        "field": fields,
        "files": list(files),
    }


def _field(name: str, column: pa.Field) -> Node:
    path, source = f"{name}/{column.name}", {"fileSet": {"@id": f"files/{name}"}, "extract": {"column": column.name}}
    node: Node = {"@type": "cr:Field", "@id": path, "name": path}
    if not _is_list(column.type):
        return {**node, "dataType": _type(column.type), "source": source}
    shape = str(column.type.list_size) if pa.types.is_fixed_size_list(column.type) else "-1"
    array = {**node, "isArray": True, "arrayShape": shape}
    item = column.type.value_type
    if not pa.types.is_struct(item):
        return {**array, "dataType": _type(item), "source": source}
    return {**array, "subField": [_part(path, part, source) for part in item]}


def _part(path: str, part: pa.Field, source: Node) -> Node:
    """A field of the structs of a list."""
    name = f"{path}/{part.name}"
    picked = {**source, "transform": {"jsonPath": part.name}}
    return {"@type": "cr:Field", "@id": name, "name": name, "dataType": _type(part.type), "source": picked}


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    if pa.types.is_date(kind):
        return "sc:Date"
    return _TYPES.get(str(kind), "sc:Text")
