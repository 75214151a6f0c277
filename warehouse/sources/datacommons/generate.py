"""What the import tool calls genmcf and lint: MCF, TMCF and CSV files in, nodes with their dcids and findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.sources.datacommons.checks import Checker, Variables
from warehouse.sources.datacommons.mcf import Finding, Node, Note, Value, parse
from warehouse.sources.datacommons.naming import constraints, definition, title
from warehouse.sources.datacommons.quantities import quantity
from warehouse.sources.datacommons.resolve import Graph, Known, Resolved, resolve
from warehouse.sources.datacommons.series import Series
from warehouse.sources.datacommons.template import Template, csv_rows
from warehouse.sources.datacommons.vocabulary import STATISTICAL_VARIABLE, is_old_observation, is_statistic


def completed(node: Node, note: Note) -> Graph:
    """The node with what follows from it: a node for each value in brackets, definition and name of a variable."""
    types = node.all("typeOf")
    if not types:
        note(_of(node, "Mutator_MissingTypeOf", f"node {node.name!r} has no type"))
        return {node.name: node}
    made: Graph = {}
    old = any(map(is_old_observation, types))
    for name, values in node.values.items():
        for at, value in enumerate(values):
            if old and is_statistic(name):
                values[at] = Value(value.kind, value.text.translate({32: "", 44: "", 37: ""}), value.column)
            if value.kind == "complex":
                found = quantity(value.text, name, lambda check, message: note(_of(node, check, message)))
                if found is not None:
                    values[at] = Value("reference", found.dcid, value.column)
                    found.places = list(node.places)
                    made[found.name] = found
    if STATISTICAL_VARIABLE in types:
        _describe(node)
    return {node.name: node, **made}


def _of(node: Node, check: str, message: str) -> Finding:
    return Finding("error", check, message, *(node.places or [("", -1)])[0])


def _describe(node: Node) -> None:
    narrowed = constraints(node)
    if narrowed:
        node.values["constraintProperties"] = [Value("reference", name) for name in narrowed]
    for name, text in (("definition", definition(node)), ("name", title(node))):
        if text and name not in node.values:
            node.values[name] = [Value("text", text)]


def merged(graphs: Iterable[Graph]) -> Graph:
    """One graph of all; a node that stands in several has the values of all, each once."""
    found: Graph = {}
    for node in (node for graph in graphs for node in graph.values()):
        held = found.setdefault(node.name, node)
        if held is not node:
            for name, values in node.values.items():
                held.values[name] = list(dict.fromkeys([*held.values.get(name, []), *values]))
            held.places += node.places
    return found


@dataclass(slots=True)
class Generated:
    """Nodes by file: those of MCF files under "", those of a CSV under its name; what failed beside them."""

    resolved: dict[str, Resolved] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def generate(
    mcf: Iterable[Path] = (),
    template: Path | None = None,
    tables: Iterable[Path] = (),
    *,
    text_values: bool = False,
    known: Iterable[Path] = (),
) -> Generated:
    """Every node of the files and every finding; held in memory.

    known: MCF of nodes that Data Commons has, by whose identifiers places are found. text_values: values that are no
    numbers are no finding.
    """
    made = Generated()
    note, variables, places = made.findings.append, Variables(), Known()
    series = Series(note)
    for path in known:
        places.add(node for graph in instances(path, lambda finding: None) for node in graph.values())
    graphs = [graph for path in mcf for graph in instances(path, note)]
    places.add(node for graph in graphs for node in graph.values())
    checker = Checker(note, variables=variables)
    for node in (node for graph in graphs for node in graph.values()):
        checker.check(node)
    made.resolved[""] = resolve(merged(graphs), places, note)
    series.add(made.resolved[""].nodes.values())
    if template is not None:
        checker = Checker(note, text_values=text_values, variables=variables)
        for path in tables:
            done = made.resolved.setdefault(path.name, Resolved({}))
            for graph in table_graphs(template, path, note, checker):
                part = resolve(graph, places, note)
                series.add(part.nodes.values())
                done.nodes |= part.nodes
                done.failed |= part.failed
        if len(made.resolved) == 1:
            _check_alone(template, note)
    series.findings()
    return made


def _check_alone(template: Path, note: Note) -> None:
    """What is wrong with a template that no CSV is read by."""
    nodes = template_nodes(_lines(template), template.name, note)
    usable(nodes, None, note)
    for node in nodes.values():
        completed(node, note)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        yield from lines


def instances(path: Path, note: Note) -> Iterator[Graph]:
    """The graphs of an MCF file, one for each node in it."""
    for node in parse(_lines(path), file=path.name, note=note):
        yield completed(node, note)


def template_nodes(lines: Iterable[str], file: str, note: Note) -> Graph:
    """The nodes of a TMCF, by name."""
    return merged({node.name: node} for node in parse(lines, file=file, note=note, template=True))


def usable(nodes: Graph, columns: Collection[str] | None, note: Note) -> bool:
    """Whether a template passes its checks. columns: of the CSV that it is for, None where there is none."""
    checker = Checker(note, template=True, columns=columns)
    return all([checker.check(node, nodes) for node in nodes.values()])


def table_graphs(template: Path, path: Path, note: Note, checker: Checker) -> Iterator[Graph]:
    """The graphs of a CSV by its template, one for each row."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv_rows(lines, delimiter)
        header = next(rows, None)
        columns = {name: at for at, name in enumerate(header.cells)} if header else {}
        nodes = template_nodes(_lines(template), template.name, note)
        if not usable(nodes, columns, note):
            note(Finding("fatal", "CSV_TmcfCheckFailure", "the template cannot be used", template.name, 0))
            return
        plan = Template(nodes, columns, path.name, delimiter)
        for row in rows:
            graph = merged(completed(node, note) for node in plan.graph(row, note).values())
            for node in graph.values():
                checker.check(node)
            yield graph
