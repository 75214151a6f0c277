"""What the uri of a source may say: variables of the environment, wildcards, and no way into a Delta table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote

from warehouse.errors import InputError
from warehouse.sources.recipe import VARIABLE


def expanded(pattern: str) -> str:
    """``${NAME}`` replaced by the environment's value, which no message shows. Raises InputError for one not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise InputError(f"the environment variable {match[1]} is not set", do=f"export {match[1]}=VALUE")
        return os.environ[match[1]]

    return VARIABLE.sub(value, pattern)


def as_stated(text: str, *stated: str) -> str:
    """A message, such as a server's, with the values that the variables of what was stated stand for put back as
    ``${NAME}``, be they percent-encoded or not.
    """
    for name in sorted({name for each in stated for name in VARIABLE.findall(each)}):
        value = os.environ.get(name, "")
        for form in {value, quote(value), quote(value, safe=""), unquote(value)} - {""}:
            text = text.replace(form, f"${{{name}}}")
    return text


def fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a glob, as pathlib's do; ``**`` stands for any number of parts."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return fits(parts, pattern[1:]) or (bool(parts) and fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and fits(parts[1:], pattern[1:])


def into_delta(pattern: str, below: str) -> InputError:
    """The refusal of files of a Delta table; below: where it lies under the fixed part of the pattern, or empty."""
    return InputError(
        f"{pattern} leads into a Delta table{f', {below}' if below else ''}, whose files hold"
        " removed rows and no partition columns",
        allowed="files, and the folder of a Delta table itself",
        do="state the folder that holds _delta_log, which is read as a table",
    )
