"""Local references replaced by dcids, and dcids given to nodes that state none, in rounds until nothing changes.

Places are found by an identifier, or by their coordinates, that a node with a dcid states in the same files
(``Known``). The import tool asks Data Commons' own service for those that no file states; here they fail and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from warehouse.sources.datacommons.mcf import Finding, Node, Note, Value
from warehouse.sources.datacommons.naming import Name, observation_name, old_observation_name, population_name
from warehouse.sources.datacommons.vocabulary import (
    IDENTIFIERS,
    OBSERVATION,
    PLACES,
    is_old_observation,
    is_population,
)

Graph = dict[str, Node]
COORDINATES = ("latitude", "longitude")


@dataclass(slots=True)
class Known:
    """Places by identifier and value, as nodes with a dcid state them."""

    places: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, nodes: Iterable[Node]) -> None:
        """Take up what these say."""
        for node in nodes:
            if node.dcid and _is_place(node):
                for each in _identifiers(node):
                    self.places.setdefault(each, node.dcid)

    def find(self, node: Node, note: Note) -> str:
        """The dcid of a place, empty, with findings, where its identifiers name none or more than one."""
        if not _is_place(node):
            return ""
        met: dict[str, str] = {}
        stated = [each for each in _identifiers(node) if each[0] in IDENTIFIERS]
        for name, text in stated or _identifiers(node):
            dcid = self.places.get((name, text))
            if dcid is None:
                if name in IDENTIFIERS:
                    _say(node, note, f"Resolution_UnresolvedExternalId_{name}", f"no place has {name} {text!r}")
                return ""
            other = next((each for each, found in met.items() if found != dcid), None)
            if other is not None:
                pair = "_".join(sorted((other, name)))
                message = f"{other} is of {met[other]}, {name} of {dcid}"
                _say(node, note, f"Resolution_DivergingDcidsForExternalIds_{pair}", message)
                return ""
            met[name] = dcid
        return next(iter(met.values()), "")


def _is_place(node: Node) -> bool:
    return not PLACES.isdisjoint(node.all("typeOf"))


def _identifiers(node: Node) -> list[tuple[str, str]]:
    """(property, value) of a place; its coordinates as one."""
    found = [
        (name, value.text)
        for name in IDENTIFIERS
        for value in node.values.get(name, ())
        if value.kind in ("text", "number")
    ]
    where = [node.first(name) for name in COORDINATES]
    return [*found, (" ".join(COORDINATES), " ".join(where))] if all(where) else found


def _say(node: Node, note: Note, check: str, message: str) -> None:
    note(Finding("error", check, f"{message}, node {node.name!r}", *(node.places[0] if node.places else ("", -1))))


@dataclass(slots=True)
class Resolved:
    """Nodes that have their dcid and no local reference, and those that failed, each with its ``error``."""

    nodes: Graph
    failed: Graph = field(default_factory=dict)

    def fail(self, node: Node, check: str, message: str, note: Note) -> None:
        """Say why a node fails; ``settle`` moves it."""
        node.error = message
        _say(node, note, check, message)

    def settle(self, names: Iterable[str]) -> None:
        """Move nodes to those that failed."""
        for name in names:
            if name in self.nodes:
                self.failed[name] = self.nodes.pop(name)


def resolve(graph: Graph, known: Known, note: Note) -> Resolved:
    """Every node of the graph in one of the two; nodes are changed in place."""
    done = Resolved(dict(graph))
    assigned = -1
    unnamed: dict[str, str] = {}
    while assigned:
        replaced, waiting = _replaced(done, note)
        if assigned > 0 and not replaced:
            break
        assigned, unnamed = _assigned(done, known, note)
    for names, check, message in (
        (waiting, "Resolution_IrreplaceableLocalRef", "no dcid for l:"),
        (unnamed, "Resolution_UnassignableNodeDcid", "no dcid without one for l:"),
    ):
        done.settle(names)
        for name, local in names.items():
            done.fail(done.failed[name], check, f"{message}{local}", note)
    return done


def _replaced(done: Resolved, note: Note) -> tuple[int, dict[str, str]]:
    """References replaced in one round; node -> a reference of its that waits for the dcid of another."""
    count, waiting, failed = 0, {}, []
    for node in done.nodes.values():
        for name, at, local in _locals(node):
            if local in done.nodes and (dcid := done.nodes[local].dcid):
                node.values[name][at] = Value("reference", dcid, node.values[name][at].column)
                count += 1
            elif local in done.nodes:
                waiting[node.name] = local
            else:
                check = "ReferenceToFailedNode" if local in done.failed else "OrphanLocalReference"
                why = "failed itself" if local in done.failed else "is in no file"
                done.fail(node, f"Resolution_{check}_{name}", f"l:{local} of {name} {why}", note)
                failed.append(node.name)
    done.settle(failed)
    return count, waiting


def _assigned(done: Resolved, known: Known, note: Note) -> tuple[int, dict[str, str]]:
    """Dcids given in one round; node -> a reference that must have one first."""
    count, waiting, failed = 0, {}, []
    for node in [each for each in done.nodes.values() if not each.dcid]:
        types = node.all("typeOf")
        local = next((each for _, _, each in _locals(node)), None)
        keyed = next((name for kind in types if (name := _keyed(kind))), None)
        if local is not None and keyed:
            waiting[node.name] = local
            continue
        found = keyed(node) if keyed else Name(known.find(node, note))
        if not found.dcid:
            kind = types[0] if types else ""
            done.fail(node, f"Resolution_DcidAssignmentFailure_{kind}", f"no dcid for this {kind or 'node'}", note)
            failed.append(node.name)
            continue
        count += 1
        if found.key:
            node.values["keyString"] = [Value("text", found.key)]
        node.values["dcid"] = [Value("text", found.dcid)]
    done.settle(failed)
    return count, waiting


def _keyed(kind: str) -> Callable[[Node], Name] | None:
    """What names a node of a type by its properties."""
    if kind == OBSERVATION:
        return observation_name
    if is_population(kind):
        return population_name
    return old_observation_name if is_old_observation(kind) else None


def _locals(node: Node) -> list[tuple[str, int, str]]:
    """Property, index and target of each local reference."""
    return [
        (name, at, value.text[2:])
        for name, values in node.values.items()
        for at, value in enumerate(values)
        if value.kind == "local"
    ]
