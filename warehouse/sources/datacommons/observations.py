"""Observations of Data Commons as rows, and the nodes that describe them as rows of another table.

Table ``nodes`` takes the statements of MCF nodes that are no observations, one row for each value; any other table the
observations: of CSV by a config.json or a TMCF beside it, of StatVarObservation nodes in MCF. Which CSV is read by
what: the config.json of its folder where a pattern of that names it, else the TMCF of its own name, else the one TMCF
of its folder.

Won: a value keeps its spelling. ``value`` is a double; ``value_text`` has what was stated where the double, written
shortest, would read otherwise (10.0, 1e6) or is none (dcid:Acre10, text in quotes), so an observation's dcid, which is
a hash of the spelling, comes out the same. By a config.json whole columns are converted, by a TMCF each different cell
once where the template allows it (``planned``), else row by row (figures in docs/sources.md). A node or row that lacks
what an observation needs is a Reject with its line; an empty value is none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, compress, groupby
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Dropped, Readings, Reject
from warehouse.sources import delimited
from warehouse.sources.beside import Beside
from warehouse.sources.columns import cast_text
from warehouse.sources.containers import Member
from warehouse.sources.csv_rows import Cells, blank_as_null, rows
from warehouse.sources.datacommons.checks import Checker, is_date
from warehouse.sources.datacommons.config import COLUMNS, CONFIG, REQUIRED, Input, WrongConfig, read_config
from warehouse.sources.datacommons.generate import completed, merged, template_nodes, usable
from warehouse.sources.datacommons.mcf import Finding, Node, Value, parse, spelt, typed
from warehouse.sources.datacommons.planned import ODD, OWN, planned
from warehouse.sources.datacommons.resolve import Graph, Known, resolve
from warehouse.sources.datacommons.template import END, Row, Template, csv_rows
from warehouse.sources.datacommons.vocabulary import KEY, OBSERVATION
from warehouse.sources.names import shown
from warehouse.sources.recipe import Column, Source
from warehouse.sources.records import Documents
from warehouse.sources.text_lines import Lines

NODES = "nodes"
"""The table of statements."""
OBSERVATIONS = pa.schema(
    [
        ("variable", pa.string()),  # dcid of the statistical variable
        ("entity", pa.string()),  # dcid of what was observed, mostly a place
        ("date", pa.string()),  # ISO 8601: a year, a month, a day
        ("value", pa.float64()),  # null where it is no finite number
        ("unit", pa.string()),
        ("measurement_method", pa.string()),
        ("observation_period", pa.string()),
        ("scaling_factor", pa.string()),
        ("provenance", pa.string()),  # dcid; null where nothing states it
        ("value_text", pa.string()),  # as stated, where ``value`` does not say it
        ("properties", pa.string()),  # all else that is stated, as JSON
    ]
)
STATEMENTS = pa.schema(
    [
        ("node", pa.string()),  # dcid, or the name in its file as l:NAME
        ("property", pa.string()),
        ("value", pa.string()),  # without prefix and quotes
        ("kind", pa.string()),  # text, number, reference, local, complex
    ]
)
PREFIX = r"^(dcid|dcs|schema):"
ROWS = 8192


def read_table(member: Member, source: Source) -> Readings:
    """Rows of one file of an import."""
    name = member.name.lower()
    if name.endswith(".mcf"):
        yield from _mcf(member, source)
    elif name.endswith((".csv", ".tsv")):
        yield from _csv(member, source)
    elif name.endswith(".tmcf"):
        findings: list[Finding] = []
        template_nodes(_lines(member, source), member.name, findings.append)
        yield Dropped(member.uri, "", "template")
        yield from _line_rejects(findings, member)
    elif name == CONFIG:
        yield from _config(member, source)
    else:
        message = f"{member.name!r} is none of .csv, .tsv, .mcf, .tmcf and {CONFIG}"
        yield Reject(member.uri, "", "unknown_format", message)


def read_no_documents(member: Member, documents: Documents) -> Readings:
    """One Reject: what Data Commons holds is no text."""
    yield Reject(member.uri, "", "not_documents", f"{member.name} holds observations; state table: observations")


def companions(beside: Beside, name: str) -> list[str]:
    """The files beside a CSV that say how it is read."""
    if not name.lower().endswith((".csv", ".tsv")):
        return []
    return [each for each in beside.names() if each == CONFIG or each.lower().endswith((".tmcf", ".mcf"))]


def _config(member: Member, source: Source) -> Readings:
    with closing(member.open()) as stream:
        data = stream.read(source.limits.max_record_bytes + 1)
    try:
        inputs = read_config(data)
    except WrongConfig as error:
        yield Reject(member.uri, "", "invalid_config", str(error), first_bytes=data[:200])
        return
    yield Dropped(member.uri, "", "config")
    names = member.beside.names() if member.beside else []
    for each in inputs:
        if not any(map(each.matches, names)):
            message = f"no file beside {CONFIG} is called {each.pattern!r}"
            yield Reject(member.uri, each.pattern, "missing_resource", message)


def _csv(member: Member, source: Source) -> Readings:
    if source.table == NODES:
        yield Dropped(member.uri, "", "observation")
        return
    names = member.beside.names() if member.beside else []
    try:
        chosen = _by_config(member, source) if CONFIG in names else None
    except WrongConfig as error:
        yield Reject(member.uri, "", "no_template", str(error))
        return
    templates = [each for each in names if each.lower().endswith(".tmcf")]
    own = [each for each in templates if each.rpartition(".")[0] == member.name.rpartition(".")[0]]
    if chosen is not None:
        yield from _mapped(member, source, chosen)
    elif own or len(templates) == 1:
        yield from _templated(member, source, (own or templates)[0])
    else:
        few = f"{len(templates)} templates, none of its name" if templates else f"neither {CONFIG} nor a template"
        message = f"{few} beside it says how {member.name} is read"
        yield Reject(member.uri, "", "no_template", message)


def _by_config(member: Member, source: Source) -> Input | None:
    if member.beside is None:
        return None
    inputs = read_config(member.beside.read(CONFIG, most=source.limits.max_record_bytes))
    return next((each for each in inputs if each.matches(member.name)), None)


def numbers(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The texts as doubles, null where they are no finite number; and the texts that the doubles do not say."""
    bare = pc.utf8_trim(texts, '"')
    found = cast_text(bare, Column("double"))
    found = pc.if_else(pc.fill_null(pc.is_finite(found), False), found, pa.scalar(None, pa.float64()))
    same = pc.fill_null(pc.equal(pc.cast(found, pa.string()), texts), False)
    return found, pc.if_else(same, pa.scalar(None, pa.string()), texts)


# By config.json: whole columns.


def _mapped(member: Member, source: Source, chosen: Input) -> Readings:
    for cells in rows(member, source):
        if not isinstance(cells, Cells):
            yield cells
            continue
        named = [*((CONFIG, name) for name in chosen.columns.values()), ("known_at", source.known_at.column)]
        if refusal := _lacking(named, cells.header, member.uri):
            yield refusal
            return
        for variable, columns in _stated(cells, chosen):
            yield from _observed(member, source, cells, columns, variable)


def _lacking(named: Iterable[tuple[str, str | None]], header: Sequence[str], uri: str) -> Reject | None:
    """The Reject of an object without a column that a file names."""
    for where, name in named:
        if name is not None and name not in header:
            return Reject(uri, "", "unknown_column", f"{where} names column {name!r}; there are {shown(tuple(header))}")
    return None


Columns = dict[str, pa.Array]


def _stated(cells: Cells, chosen: Input) -> Iterator[tuple[str, Columns]]:
    """Columns of observations: those of the CSV, or those of each variable where every column is one."""
    texts = [blank_as_null(values) if cells.quoted else values for values in cells.columns]
    found = dict(zip(cells.header, texts, strict=True))
    size = len(cells.numbers)
    columns = {name: found[column] for name, column in chosen.columns.items()}
    if not chosen.per_column:
        for name in REQUIRED:
            if name not in columns and name in found:
                columns[name] = found[name]
        further = {name: found[column] for name, column in chosen.further.items() if column in found}
        yield "", _filled({**columns, "properties": _json(further, size)}, chosen, size)
        return
    names = [name for name in cells.header if name not in chosen.ignored]
    entity, date = chosen.columns.get("entity", names[0]), chosen.columns.get("date", names[min(1, len(names) - 1)])
    for name in names:
        if name not in (entity, date):
            variable = pa.repeat(pa.scalar(name), size)
            own = {"entity": found[entity], "date": found[date], "variable": variable, "value": found[name]}
            yield name, _filled(own, chosen, size)


def _filled(columns: Columns, chosen: Input, size: int) -> Columns:
    """The columns without prefixes, with the constants and the provenance of the input where they have nothing."""
    given = {**chosen.constants, **({"provenance": chosen.provenance} if chosen.provenance else {})}
    texts = set(OBSERVATIONS.names) - {"value", "value_text", "properties"}
    for name in texts:
        stated = columns.get(name, pa.nulls(size, pa.string()))
        bare = pc.replace_substring_regex(stated, PREFIX, "")
        columns[name] = pc.fill_null(bare, given[name]) if name in given else bare
    columns.setdefault("value", pa.nulls(size, pa.string()))
    columns.setdefault("properties", pa.nulls(size, pa.string()))
    return columns


def _json(further: Columns, size: int) -> pa.Array:
    if not further:
        return pa.nulls(size, pa.string())
    rows = zip(*(array.to_pylist() for array in further.values()), strict=True)
    stated = [{name: _spelt(name, text) for name, text in zip(further, row, strict=True) if text} for row in rows]
    return pa.array([orjson.dumps(row).decode() if row else None for row in stated], pa.string())


def _spelt(name: str, text: str) -> list[str]:
    """A cell as the one value of a property, as MCF spells it."""
    found = typed(name, text, lambda check, message: None)
    return [spelt(found)] if found else []


def _observed(
    member: Member, source: Source, cells: Cells, columns: Columns, variable: str
) -> Iterator[pa.RecordBatch | Reject | Dropped]:
    """One batch; a Reject for each row that is no observation, a Dropped for each without a value."""
    text = pc.utf8_trim_whitespace(columns["value"])
    value, spelling = numbers(text)
    known, stated = delimited.known_at(cells, source)
    reasons = _reasons(columns, text, value)
    late = pc.and_(pc.is_null(known), pc.is_valid(stated))
    reasons = pc.if_else(late, f"type_mismatch:known_at {source.known_at.column} is no time", reasons)
    suffix = f"/{variable}" if variable else ""
    records = [f"{member.prefix}{number}{suffix}" for number in cells.numbers]
    for at in pc.indices_nonzero(pc.is_valid(reasons)).to_pylist():
        reason, _, message = reasons[at].as_py().partition(":")
        if reason == "no_value":
            yield Dropped(member.uri, records[at], reason)
        else:
            shown = {name: array[at].as_py() for name, array in columns.items()}
            first = str({name: each for name, each in shown.items() if each is not None}).encode()[:200]
            yield Reject(member.uri, records[at], reason, message, cells.numbers[at], None, first)
    made = {**columns, "value": value, "value_text": spelling}
    arrays = [made[name] for name in OBSERVATIONS.names]
    batch = _batch(arrays, OBSERVATIONS, records, known).filter(pc.is_null(reasons))
    if batch.num_rows:
        yield batch


def _reasons(columns: Columns, text: pa.Array, value: pa.Array) -> pa.Array:
    """For each row why it is no observation, ``reason:message``, or null."""
    none = pa.scalar(None, pa.string())
    refers = pc.match_substring_regex(text, PREFIX)
    words = pc.and_(pc.is_null(value), pc.invert(pc.fill_null(refers, False)))
    words = pc.and_(words, pc.invert(pc.fill_null(pc.match_substring_regex(text, r"^(NaN|[+-]?Infinity)$"), False)))
    reasons = pc.if_else(words, "invalid_observation:value is no number and no dcid:NODE", none)
    dates = pc.dictionary_encode(columns["date"])
    dated = pa.array([is_date(date) for date in dates.dictionary.to_pylist()], pa.bool_())
    wrong = pc.invert(pc.fill_null(pc.take(dated, dates.indices), True))
    reasons = pc.if_else(wrong, "invalid_observation:date is none of ISO 8601", reasons)
    for name in ("variable", "entity", "date"):
        reasons = pc.if_else(pc.is_null(columns[name]), f"invalid_observation:no {name}", reasons)
    return pc.if_else(pc.is_null(text), "no_value", reasons)


def _batch(arrays: list[pa.Array], schema: pa.Schema, records: list[str], known: pa.Array) -> pa.RecordBatch:
    fields = [*schema, pa.field("_record", pa.string()), pa.field("_known_at", TIMESTAMP)]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(records, pa.string()), known], schema=pa.schema(fields))


# By nodes: row by row.


@dataclass(slots=True)
class _Rows:
    """Rows of a table held by columns until there are ROWS of them; ``text`` of observations is their value."""

    schema: pa.Schema
    source: Source
    uri: str
    records: list[str] = field(default_factory=list)
    times: list[str | None] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, row: dict[str, Any], record: str, time: str | None = None) -> Iterator[pa.RecordBatch | Reject]:
        """Take up a row; a batch where there are enough."""
        yield from self.extend({name: [value] for name, value in row.items()}, [record], [time])

    def extend(
        self, columns: dict[str, list[Any]], records: list[str], times: list[str | None]
    ) -> Iterator[pa.RecordBatch | Reject]:
        """Take up rows, always of the same columns; a batch where there are enough."""
        for name, values in columns.items():
            self.columns.setdefault(name, []).extend(values)
        self.records += records
        self.times += times
        if len(self.records) >= ROWS:
            yield from self.flush()

    def flush(self) -> Iterator[pa.RecordBatch | Reject]:
        """The rows held, and a Reject for each whose known_at is no time."""
        if not self.records:
            return
        stated = pa.array(self.times, pa.string())
        name = self.source.known_at.column
        column = self.source.columns.get(name or "", Column("timestamp"))
        known = cast_text(stated, Column("timestamp", column.format))
        late = pc.and_(pc.is_null(known), pc.is_valid(stated))
        for at in pc.indices_nonzero(late).to_pylist():
            yield Reject(self.uri, self.records[at], "type_mismatch", f"known_at {name} is {self.times[at]!r}, no time")
        batch = _batch(self._arrays(), self.schema, self.records, known).filter(pc.invert(late))
        self.records, self.times, self.columns = [], [], {}
        if batch.num_rows:
            yield batch

    def _arrays(self) -> list[pa.Array]:
        made = {}
        if self.schema is OBSERVATIONS:
            made["value"], made["value_text"] = numbers(pa.array(self.columns["text"], pa.string()))
        return [
            made[each.name] if each.name in made else pa.array(self.columns[each.name], each.type)
            for each in self.schema
        ]


def observation(node: Node) -> dict[str, Any]:
    """The row of a StatVarObservation node whose references are resolved; ``text`` is its value as MCF spells it."""
    row: dict[str, Any] = {COLUMNS[name]: node.first(name) or None for name in KEY if name != "value"}
    value = node.values["value"][0]
    row["text"] = spelt(value) if value.kind in ("reference", "text") else value.text
    row["provenance"] = node.first("provenance") or None
    further = {name: list(map(spelt, values)) for name, values in node.values.items() if name not in OWN}
    row["properties"] = orjson.dumps(further).decode() if further else None
    return row


def _is_observation(node: Node) -> bool:
    return OBSERVATION in node.all("typeOf")


def _refused(
    name: str, findings: Sequence[Finding], *, uri: str, record: str, line: int, first: bytes
) -> Reject | Dropped:
    """Why a node is no row: a value that is missing is none, anything else is wrong."""
    found = [each for each in findings if not each.check.startswith("StrSplit_")]
    own = [each for each in found if repr(name) in each.message] or found
    if own and all(each.check == "Sanity_MissingOrEmpty_value" for each in own):
        return Dropped(uri, record, "no_value")
    lost = any(each.check.startswith("Resolution_") for each in own)
    message = f"{own[0].check}: {own[0].message}" if own else "an observation without a place or variable"
    reason = "unresolved_reference" if lost else "invalid_observation"
    return Reject(uri, record, reason, message, line, None, first)


def _mcf(member: Member, source: Source) -> Readings:
    held = _Rows(STATEMENTS if source.table == NODES else OBSERVATIONS, source, member.uri)
    findings: list[Finding] = []
    local: dict[str, str] | None = None
    for node in _parsed(member, source, findings):
        yield from _line_rejects(findings, member)
        line = node.places[0][1]
        record = f"{member.prefix}{line}"
        if _is_observation(node) == (source.table == NODES):
            yield Dropped(member.uri, record, "observation" if source.table == NODES else "node")
        elif source.table == NODES:
            for at, row in enumerate(_statements(node)):
                yield from held.add(row, f"{record}/{at}")
        else:
            if local is None and any(value.kind == "local" for values in node.values.values() for value in values):
                local = _locals(member, source)
            found, wrong = _checked(node, local or {})
            if found is None:
                first = repr(node.values).encode("utf-8", "replace")[:200]
                yield _refused(node.name, wrong, uri=member.uri, record=record, line=line, first=first)
            else:
                yield from held.add(observation(found), record)
    yield from _line_rejects(findings, member)
    yield from held.flush()


def _statements(node: Node) -> Iterator[dict[str, Any]]:
    name = node.dcid or f"l:{node.name}"
    for key, values in node.values.items():
        if key != "dcid":
            for each in values:
                yield {"node": name, "property": key, "value": each.text.removeprefix("l:"), "kind": each.kind}


def _lines(member: Member, source: Source) -> Iterator[str]:
    with closing(member.open()) as stream:
        lines = Lines(stream, member.uri, source.dialect.encoding, source.limits.max_record_bytes)
        for line in _passing(lines):
            yield line.encode("utf-8", "replace").decode()


def _passing(lines: Lines) -> Iterator[str]:
    """Lines that are not asked for again."""
    for number, line in enumerate(lines):
        if not number % 1024:
            lines.settled(number)
        yield line


def _parsed(member: Member, source: Source, findings: list[Finding]) -> Iterator[Node]:
    return parse(_lines(member, source), file=member.name, note=findings.append)


def _line_rejects(findings: list[Finding], member: Member) -> Iterator[Reject]:
    """A Reject for each line that was refused since the last call."""
    for each in findings:
        message = f"{each.check}: {each.message}"
        yield Reject(member.uri, f"{member.prefix}{each.line}", "invalid_mcf", message, each.line)
    findings.clear()


def _checked(node: Node, local: dict[str, str]) -> tuple[Node | None, list[Finding]]:
    """An observation with its local references replaced, None where it fails; and why."""
    findings: list[Finding] = []
    graph: Graph = {name: Node(name, {"dcid": [Value("text", dcid)]}) for name, dcid in local.items()}
    right = Checker(findings.append).check(node)
    if not right:
        return None, findings
    graph |= completed(node, findings.append)
    done = resolve(graph, Known(), findings.append)
    return done.nodes.get(node.name), findings


def _locals(member: Member, source: Source) -> dict[str, str]:
    """Dcid of each node of the file that states one or is found by its identifiers; nodes that are no observations are
    held meanwhile.
    """
    nodes = [node for node in _parsed(member, source, []) if not _is_observation(node)]
    known = Known()
    known.add([*nodes, *_described(member.beside, source)])
    done = resolve(merged({node.name: node} for node in nodes), known, lambda finding: None)
    return {name: node.dcid for name, node in done.nodes.items()}


def _described(beside: Beside | None, source: Source) -> Iterator[Node]:
    """Nodes of the MCF files beside a member, observations aside."""
    for name in beside.names() if beside else ():
        if beside and name.lower().endswith(".mcf"):
            yield from (node for node in _parsed(_named(beside, name), source, []) if not _is_observation(node))


def _named(beside: Beside, name: str) -> Member:
    return Member(name, name, lambda: beside.open(name))


def _templated(member: Member, source: Source, template: str) -> Readings:
    """Observations of a CSV by a TMCF beside it."""
    if member.beside is None:
        return
    findings: list[Finding] = []
    nodes = template_nodes(_lines(_named(member.beside, template), source), template, findings.append)
    csv.field_size_limit(source.limits.max_record_bytes)
    delimiter = source.dialect.delimiter or ("\t" if member.name.lower().endswith(".tsv") else ",")
    with closing(member.open()) as stream:
        lines = Lines(stream, member.uri, source.dialect.encoding, source.limits.max_record_bytes)
        table = csv_rows(_passing(lines), delimiter)
        header = next(table, None)
        if header is None:
            yield from lines.taken()
            return
        columns = {name: at for at, name in enumerate(header.cells)}
        if not usable(nodes, columns, findings.append):
            first = next(each for each in findings if each.level == "error")
            message = f"{template}, line {first.line}: {first.check}: {first.message}"
            yield Reject(member.uri, "", "invalid_template", message)
            return
        known = Known()
        if any(
            _unnamed(nodes, value.text) for node in nodes.values() for each in node.values.values() for value in each
        ):
            known.add(_described(member.beside, source))
        made = _Made(member, source, Template(nodes, columns, member.name, delimiter), known)
        held: list[Row] = []
        for row in table:
            held.append(row)
            refused = lines.taken()
            if refused or len(held) >= made.at_once:
                yield from made.all(held)
                held = []
            for reject in refused:
                yield replace(reject, record=str(row.line - 1)) if reject.record else reject
        yield from made.all(held)
        yield from lines.taken()
    yield from made.rows.flush()


def _unnamed(nodes: Graph, entity: str) -> bool:
    """Whether a value refers to a node of the template that states no dcid."""
    return entity in nodes and "dcid" not in nodes[entity].values


def _is_utf8(rows: Sequence[Row]) -> bool:
    try:
        "".join(chain.from_iterable(row.cells for row in rows)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _woven(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """The first of each list, then the second of each, and so on."""
    return list(lists[0]) if len(lists) == 1 else list(chain.from_iterable(zip(*lists, strict=True)))


class _Made:
    """Rows of a CSV as observations."""

    def __init__(self, member: Member, source: Source, plan: Template, known: Known) -> None:
        self.member, self.plan, self.known = member, plan, known
        self.rows = _Rows(OBSERVATIONS, source, member.uri)
        self.time = plan.columns.get(source.known_at.column or "")
        self.wanted = [name for name, node in plan.nodes.items() if OBSERVATION in node.all("typeOf")]
        self.planned = planned(plan)
        self.at_once = max(1, ROWS // max(1, len(self.wanted)))

    def all(self, rows: Sequence[Row]) -> Iterator[pa.RecordBatch | Reject | Dropped]:
        """What rows give, in their order."""
        width = len(self.plan.columns)
        for plain, some in groupby(rows, lambda row: len(row.cells) == width):
            run = list(some)
            if plain and self.planned is not None and _is_utf8(run) and not run[-1].cells[-1].endswith(END):
                yield from self._together(run)
            else:
                for row in run:
                    yield from self.row(row)

    def _together(self, rows: list[Row]) -> Iterator[pa.RecordBatch | Reject | Dropped]:
        """What rows of the right width give, those with an odd cell one by one."""
        cells, size = list(zip(*(row.cells for row in rows), strict=True)), len(rows)
        made = [each.read(cells, size) for each in self.planned or ()]
        odd = {
            at for each in made for values in each.values() if ODD in values for at in range(size) if values[at] is ODD
        }
        times = [None] * size if self.time is None else [cell or None for cell in cells[self.time]]
        start = 0
        for at in [*sorted(odd), size]:
            if at > start:
                yield from self._add(
                    rows[start:at], [{n: v[start:at] for n, v in each.items()} for each in made], times[start:at]
                )
            if at < size:
                yield from self.row(rows[at])
            start = at + 1

    def _add(
        self, rows: Sequence[Row], made: Sequence[dict[str, list[Any]]], times: Sequence[str | None]
    ) -> Iterator[pa.RecordBatch | Reject | Dropped]:
        """Take up the observations of rows, in the order of the rows; one without a value is dropped."""
        prefix, width = self.member.prefix, len(made)
        suffixes = [name.partition("->")[2] for name in self.wanted]
        records = [f"{prefix}{row.line - 2}/{suffix}" for row in rows for suffix in suffixes]
        columns = {name: _woven([each[name] for each in made]) for name in made[0]}
        known = _woven([times] * width)
        if None in columns["text"]:
            there = [text is not None for text in columns["text"]]
            for record, kept in zip(records, there, strict=True):
                if not kept:
                    yield Dropped(self.member.uri, record, "no_value")
            columns = {name: list(compress(values, there)) for name, values in columns.items()}
            records, known = list(compress(records, there)), list(compress(known, there))
        yield from self.rows.extend(columns, records, known)

    def row(self, row: Row) -> Iterator[pa.RecordBatch | Reject | Dropped]:
        """What one row gives: an observation, a Reject or a Dropped for each that the template makes."""
        record, raw = f"{self.member.prefix}{row.line - 2}", ",".join(row.cells).removesuffix(END)
        first = raw.encode("utf-8", "surrogateescape")[:200]
        if refusal := self._refusal(row, raw):
            yield Reject(self.member.uri, record, *refusal, row.line, None, first)
            return
        findings: list[Finding] = []
        graph = self.plan.graph(row, findings.append)
        graph = merged(completed(node, findings.append) for node in graph.values())
        done = resolve(graph, self.known, findings.append)
        made = {node.template: node for node in done.nodes.values()}
        time = None if self.time is None else row.cells[self.time] or None
        for name in self.wanted:
            own = f"{record}/{name.partition('->')[2]}"
            if name in made:
                yield from self.rows.add(observation(made[name]), own, time)
            else:
                yield _refused(name, findings, uri=self.member.uri, record=own, line=row.line, first=first)
        if not self.wanted:
            yield Dropped(self.member.uri, record, "node")

    def _refusal(self, row: Row, raw: str) -> tuple[str, str] | None:
        """Reason and message where the row itself cannot be read."""
        width = len(self.plan.columns)
        if row.cells[-1].endswith(END):
            return "unclosed_quote", "a quote is open at the end of the object"
        if len(row.cells) != width:
            return "wrong_field_count", f"{len(row.cells)} fields, the header has {width}"
        try:
            raw.encode()
        except UnicodeEncodeError:
            return "invalid_utf8", "the row is not UTF-8"
        return None
