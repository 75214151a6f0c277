"""The law that nothing synthetic is made from what is synthetic: what a recipe reads, followed through every model.

Only typed tables that sources write may be at the end of the way: ``documents`` holds synthetic text beside the real,
``signals`` and the like are measured from it, ``synthetic_<name>`` and ``features_<name>`` may hold drawn rows. What no
one can see from names is asked of the rows: a table whose column ``synthetic`` is true anywhere is refused when read.
Not seen: synthetic rows that come in again from a file that does not say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from warehouse.errors import RecipeError

REPOSITORY = "repository."


def inputs_of(
    selects: Iterable[tuple[str, Iterable[str]]], models: Mapping[str, Iterable[str]], typed: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The models and the repository tables that SELECTs read, directly or through models, sorted.

    selects: (``file:line``, what the SELECT reads); models: what each reads; typed: tables that only sources write.
    Raises RecipeError, with the whole path of names, where one ends at anything but a typed table.
    """
    found, allowed = set[str](), set(typed)
    for at, names in selects:
        waiting: list[tuple[str, ...]] = [(name,) for name in names]
        while waiting:
            path = waiting.pop()
            found.add(path[-1])
            if path[-1] in models:
                waiting += [(*path, name) for name in models[path[-1]] if name not in path]
            elif path[-1].removeprefix(REPOSITORY) not in allowed or not path[-1].startswith(REPOSITORY):
                raise _refused(at, path, allowed)
    return sorted(found & set(models)), sorted(name.removeprefix(REPOSITORY) for name in found - set(models))


def _refused(at: str, path: tuple[str, ...], allowed: set[str]) -> RecipeError:
    said = ", which reads ".join(path)
    table = path[-1].removeprefix(REPOSITORY)
    return RecipeError(
        f"{at}: reads {said}: {_reason(path[-1], table)}",
        allowed="typed tables that sources write, and models of them: " + (", ".join(sorted(allowed)) or "none yet"),
        do="select from a table or a mart of real rows",
    )


def _reason(name: str, table: str) -> str:
    if not name.startswith(REPOSITORY):
        return "no model of this project"
    if table.startswith(("synthetic_", "features_")):
        return "it may hold synthetic rows, and nothing synthetic is made from synthetic rows"
    if table in ("documents", "rejects", "runs"):
        return "it is no table of facts" if table != "documents" else "it holds synthetic text beside the real"
    return "it is no typed table that a source here writes"
