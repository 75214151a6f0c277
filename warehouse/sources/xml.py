"""One document an XML file: its text by expat, as it comes, a line for each element but those within a line of text.

title is the first element called ``title`` with text, else the file's name; stated_language the ``xml:lang`` (or
``lang``) of the root. Entities are never declared here: a file that declares one is a Reject ``xml_entities``, so none
expands and nothing outside is read; of those that a DOCTYPE elsewhere may declare, HTML's are known (``&nbsp;``), any
other is the same Reject. Comments and processing instructions are no text. 17 MB a CPU second, files of
20 kB.
"""

from __future__ import annotations

from contextlib import closing
from html.entities import html5
from xml.parsers import expat

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources.containers import Member
from warehouse.sources.html import columns
from warehouse.sources.page import tag
from warehouse.sources.records import Documents
from warehouse.sources.rights import Document

BLOCK = 1 << 16
XML_LANG = "http://www.w3.org/XML/1998/namespace lang"
MAX_DEPTH = 10_000


class Refused(Exception):
    """A file that is not read; the arguments are reason and message."""


def read_documents(member: Member, documents: Documents) -> Readings:
    """The member's document."""
    made = _Text(documents.source.limits.max_record_bytes)
    try:
        _parse(member, made)
    except Refused as error:
        reason, message = error.args
        yield Reject(member.uri, "0", reason, message, max(0, made.parser.CurrentByteIndex))
        return
    except expat.ExpatError as error:
        yield Reject(member.uri, "0", "invalid_xml", str(error), made.parser.ErrorByteIndex, type(error).__name__)
        return
    text = made.text()
    if not text:
        yield Dropped(member.uri, "0", "no_text")
        return
    found: Document = {"text": text, "title": made.title or member.name, "stated_language": tag(made.language)}
    yield from documents.batch([0], columns([found]))


def _parse(member: Member, made: _Text) -> None:
    """Give the parser all of it, in blocks that grow with the token that is open: expat looks through one again each
    time. Raises Refused for a tag, comment or the like of more than max_chars, ExpatError.
    """
    given = 0
    with closing(member.open()) as stream:
        while block := stream.read(max(BLOCK, given - max(0, made.parser.CurrentByteIndex))):
            made.parser.Parse(block, False)
            given += len(block)
            if given - made.parser.CurrentByteIndex > made.max_chars + BLOCK:
                raise Refused("record_too_large", f"a tag or comment of more than {made.max_chars} bytes")
    made.parser.Parse(b"", True)


class _Text:
    """What the parser tells, gathered; never more than ``max_chars``."""

    def __init__(self, max_chars: int) -> None:
        self.max_chars, self.chars = max_chars, 0
        self.lines: list[list[str]] = [[]]
        self.within: list[bool] = []  # of each open element: whether it stands in a line of text
        self.title: str | None = None
        self.language: str | None = None
        self.titled: list[str] | None = None
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.UseForeignDTD(False)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.EntityDeclHandler = self._declared
        self.parser.SkippedEntityHandler = self._skipped

    def text(self) -> str:
        """The lines with text."""
        joined = (" ".join("".join(parts).split()) for parts in self.lines)
        return "\n".join(line for line in joined if line)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.within:
            self.language = attributes.get(XML_LANG) or attributes.get("lang")
        self.within.append(any(map(str.strip, self.lines[-1])))
        if len(self.within) > MAX_DEPTH:
            raise Refused("too_deep", f"elements in more than {MAX_DEPTH} levels")
        if not self.within[-1]:
            self._line()
        if self.title is None and not self.within[-1] and name.rpartition(" ")[2].lower() == "title":
            self.titled = self.lines[-1]

    def _end(self, _: str) -> None:
        if not self.within.pop():
            if self.titled is not None:
                self.title = " ".join("".join(self.titled).split())[:300] or None
                self.titled = None
            self._line()

    def _line(self) -> None:
        if self.lines[-1]:
            self.lines.append([])

    def _data(self, text: str) -> None:
        self.chars += len(text)
        if self.chars > self.max_chars:
            raise Refused("record_too_large", f"more than {self.max_chars} characters of text")
        self.lines[-1].append(text)

    def _declared(self, name: str, *_: object) -> None:
        raise Refused("xml_entities", f"the entity {name!r} is declared, and none is expanded")

    def _skipped(self, name: str, parameter: bool) -> None:
        character = html5.get(f"{name};")
        if parameter or character is None:
            raise Refused("xml_entities", f"the entity {name!r}, which is declared nowhere here")
        self._data(character)
