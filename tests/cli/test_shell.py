"""The SQL shell: statements over lines, commands, completion, history, and a new snapshot seen at the next query."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from small_project import DECISIONS, publish_again, small_project

from warehouse.cli.completion import Names, SqlCompleter, names_of
from warehouse.cli.shell import Shell, is_whole, shell
from warehouse.project import Project
from warehouse.publish import connect_current


def typed(project: Project, text: str) -> None:
    """Type ``text`` into a shell, then Ctrl-D."""
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text(text + "\x04")
        shell(project, "prod", every=False)


def test_a_statement_goes_on_over_lines_until_its_semicolon(small, capsys):
    typed(small, "SELECT 40\r+ 2 AS answer\r;\r")
    assert capsys.readouterr().out.endswith("answer\n──────\n    42\n(1 row)\n")


@pytest.mark.parametrize(
    ("text", "whole"),
    [("", True), (".tables", True), ("SELECT 1", False), ("SELECT 1;\n", True), ("SELECT ';'", False)],
)
def test_enter_runs_what_is_whole(text, whole):
    assert is_whole(text) is whole


def test_an_error_is_one_line_and_the_shell_goes_on(small, capsys):
    typed(small, "SELECT * FROM nowhere;\r.nonsense\rDROP TABLE marts.numbers;\rSELECT 1 AS fine;\r")
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 3
    assert "fine" in captured.out


def test_quit_ends_it_before_what_follows(small, capsys):
    typed(small, ".quit\rSELECT 1;\r")
    assert "(1 row)" not in capsys.readouterr().out


def test_commands_show_tables_columns_and_help(small, capsys):
    typed(small, ".tables\r.tables numb\r.schema marts.numbers\r.schema repository\r.help\r")
    out = capsys.readouterr().out
    assert {"marts.numbers", "curation.rules", "repository.documents", "meta.checks"} <= set(out.split())
    assert "marts.numbers  n       INTEGER" in out
    assert "object_sha256" in out
    assert ".schema NAME" in out


def test_history_is_kept_in_the_project_s_state(small):
    typed(small, "SELECT 'remembered';\r")
    assert "remembered" in (small.state / "sql_history").read_text()


def test_a_publish_is_seen_at_the_next_query_and_an_open_snapshot_stays_whole(tmp_path: Path, capsys):
    project = small_project(tmp_path / "project")
    opened = Shell(project, "prod", every=False)
    assert opened.answer("SELECT count(*) AS n FROM curation.decisions;")
    first, before = opened.number, opened.con
    assert before is not None
    publish_again(project, DECISIONS[:1])
    assert before.execute("SELECT count(*) FROM curation.decisions").fetchall() == [(5,)]
    assert opened.answer("SELECT count(*) AS n FROM curation.decisions;")
    assert opened.number == first + 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["1", "(1 row)"]


NAMES = Names({"marts.chips": ("owner", "quarter"), "marts.power": ("watts",), "curation.decisions": ("doc_id",)})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT * FROM ma", ["marts.", "marts.chips", "marts.power", "max("]),
        ("SELECT * FROM marts.ch", ["chips"]),
        ("SELECT chips.o", ["owner"]),
        ("SELECT c. FROM marts.chips AS c", ["owner", "quarter"]),
        ("SELECT wat FROM marts.power", ["watts"]),
        ("sel", ["SELECT"]),
        ("SELECT nothing.x", []),
    ],
)
def test_completion_offers_what_can_stand_there(text, wanted):
    at = text.index(" FROM") if text.startswith(("SELECT c.", "SELECT wat")) else len(text)
    found = SqlCompleter(lambda: NAMES).get_completions(Document(text, at), CompleteEvent())
    assert [item.text for item in found] == wanted


def test_names_are_those_of_the_snapshot_and_of_the_repository(small):
    with connect_current(small.published, "prod") as con:
        tables = names_of(con).tables
    assert tables["marts.numbers"] == ("n", "name")
    assert tables["repository.signals"] == ("doc_id", "version", "words", "language")


def test_on_a_real_terminal_it_prompts_answers_and_leaves(inside):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "warehouse.cli", "sql"], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    seen = read_until(ours, b"sql>")
    os.write(ours, b"SELECT 6 * 7 AS answer;\r")
    seen += read_until(ours, b"(1 row)") + read_until(ours, b"sql>")
    os.write(ours, b"\x04")
    assert process.wait(timeout=20) == 0
    assert b"42" in seen


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal shows until ``wanted`` is in it, at most 20 s; it is told its cursor position when it asks."""
    seen, end = b"", time.monotonic() + 20
    while wanted not in seen and time.monotonic() < end:
        chunk = os.read(terminal, 4096)
        if b"\x1b[6n" in chunk:
            os.write(terminal, b"\x1b[1;1R")
        seen += chunk
    return seen
