"""Source code, one document a file, with its language: by the file's name, else its suffix, else its first line.

The languages are those of GitHub's linguist by name; a suffix that several share has the one that has most code: .h is
C, .m Objective-C, .pl Perl, .v Verilog, .r R. Text, charset and what is binary are as in ``text``; the title is the
file's name.
"""

from __future__ import annotations

import re

import pyarrow as pa

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources.containers import Member
from warehouse.sources.records import Documents
from warehouse.sources.text import decoded, document, load

SUFFIXES = {
    ".ada": "Ada", ".adb": "Ada", ".ads": "Ada", ".asm": "Assembly", ".s": "Assembly", ".sh": "Shell", ".bash": "Shell",
    ".zsh": "Shell", ".bat": "Batchfile", ".c": "C", ".h": "C", ".cs": "C#", ".cc": "C++", ".cpp": "C++",
    ".cxx": "C++", ".hh": "C++", ".hpp": "C++", ".cmake": "CMake", ".clj": "Clojure", ".cu": "Cuda", ".css": "CSS",
    ".d": "D", ".dart": "Dart", ".ex": "Elixir", ".exs": "Elixir", ".elm": "Elm", ".el": "Emacs Lisp", ".erl": "Erlang",
    ".fs": "F#", ".f90": "Fortran", ".f95": "Fortran", ".go": "Go", ".gradle": "Gradle", ".groovy": "Groovy",
    ".hs": "Haskell", ".hcl": "HCL", ".tf": "HCL", ".java": "Java", ".js": "JavaScript", ".mjs": "JavaScript",
    ".cjs": "JavaScript", ".jsx": "JavaScript", ".jl": "Julia", ".kt": "Kotlin", ".kts": "Kotlin", ".less": "Less",
    ".lisp": "Common Lisp", ".lua": "Lua", ".mk": "Makefile", ".nim": "Nim", ".nix": "Nix", ".m": "Objective-C",
    ".mm": "Objective-C++", ".ml": "OCaml", ".mli": "OCaml", ".pas": "Pascal", ".pl": "Perl", ".pm": "Perl",
    ".php": "PHP", ".ps1": "PowerShell", ".proto": "Protocol Buffer", ".py": "Python", ".pyi": "Python",
    ".pyx": "Cython", ".r": "R", ".rkt": "Racket", ".rb": "Ruby", ".rs": "Rust", ".sass": "Sass", ".scss": "SCSS",
    ".scala": "Scala", ".scm": "Scheme", ".sol": "Solidity", ".sql": "SQL", ".swift": "Swift", ".tcl": "Tcl",
    ".tex": "TeX", ".ts": "TypeScript", ".tsx": "TypeScript", ".v": "Verilog", ".sv": "SystemVerilog", ".vhd": "VHDL",
    ".vim": "Vim Script", ".vb": "Visual Basic .NET", ".vue": "Vue", ".zig": "Zig",
}  # fmt: skip
NAMES = {"makefile": "Makefile", "dockerfile": "Dockerfile", "rakefile": "Ruby"}
SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-S[ \t]+)?)?([A-Za-z]+)")
SHELLS = {"sh": "Shell", "bash": "Shell", "dash": "Shell", "zsh": "Shell", "ksh": "Shell", "python": "Python"}
SHELLS |= {"perl": "Perl", "ruby": "Ruby", "node": "JavaScript", "php": "PHP", "Rscript": "R", "lua": "Lua"}


def read_documents(member: Member, documents: Documents) -> Readings:
    """The member's document; a blank file is dropped."""
    raw = load(member, max_bytes=documents.source.limits.max_record_bytes)
    text = raw if isinstance(raw, Reject) else decoded(raw, member.uri, documents.source.dialect.encoding)
    if isinstance(text, Reject):
        yield text
    elif text.strip():
        language = pa.array([language_of(member.name, text)], pa.string())
        yield from documents.batch([0], {**document(text, member.name), "programming_language": language})
    else:
        yield Dropped(member.uri, "", "empty_object")


def language_of(name: str, text: str = "") -> str | None:
    """The language of a file; null where nothing tells it."""
    lowered = name.lower()
    suffix = lowered[lowered.rindex(".") :] if "." in lowered else ""
    first = SHEBANG.match(text[:200])
    return NAMES.get(lowered) or SUFFIXES.get(suffix) or (SHELLS.get(first[1]) if first else None)
