"""Where an error becomes one line on stderr and an exit status: 0 done, 1 a check failed, 2 wrong use.

A closed pipe (``| head``) is quiet. What is none of these is a bug, and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from warehouse.cli import STOPPED, missing_extra
from warehouse.errors import StorageFull, UsageError, WarehouseError

CLOSED_PIPE = 141  # 128 + SIGPIPE, as shells report it
GRACE_S = 2.0


def exit_status(verb: str, work: Callable[[], None]) -> int:
    """Do the work; 0, or the status of the error that it ended with, after saying it in one line."""
    try:
        work()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _stopped(verb)
    except (WarehouseError, click.ClickException, OSError, ModuleNotFoundError) as error:
        if getattr(error, "errno", None) in (errno.EPIPE, errno.ENOSPC):
            _discard_output()
        return CLOSED_PIPE if getattr(error, "errno", None) == errno.EPIPE else _say(verb, refusal(error))
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # what DuckDB raises for Ctrl-C in a statement that gives no rows
            raise
        return _stopped(verb)
    return 0


@contextmanager
def stoppable(verb: str, partial: Path | None) -> Iterator[None]:
    """A block that only reads, which Ctrl-C ends at once or, where DuckDB is deep in a join, with the process.

    DuckDB stops between the parts of its work, and one part of a large join can take hours. partial: the file that
    would be left half-written.
    """
    ended, (heard, told) = threading.Event(), os.pipe()
    os.set_blocking(told, False)

    def watch() -> None:
        while (came := os.read(heard, 64)) and signal.SIGINT not in came:
            pass
        os.close(heard)
        if came and not ended.wait(GRACE_S):
            if partial is not None:
                partial.unlink(missing_ok=True)
            os._exit(_stopped(verb))

    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(told)


def _stopped(verb: str) -> int:
    said = f"\nwarehouse {verb}: stopped. What was committed stays; run it again to finish."
    print(said, file=sys.stderr, flush=True)
    return STOPPED


def _discard_output() -> None:
    """Where stdout takes no more, let the rest go nowhere: flushed at the end, it would fail again with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _say(verb: str, error: WarehouseError) -> int:
    print(f"warehouse {verb}".strip() + f": {one_line(str(error))}", file=sys.stderr)
    return error.exit_status


def refusal(error: WarehouseError | click.ClickException | OSError | ModuleNotFoundError) -> WarehouseError:
    """The error as one of this library's; a module of our own that is missing is a bug and is raised again."""
    if isinstance(error, WarehouseError):
        return error
    if isinstance(error, click.ClickException):
        return wrong_use(error)
    return missing_extra(error) if isinstance(error, ModuleNotFoundError) else _of_system(error)


def _of_system(error: OSError) -> WarehouseError:
    if error.errno == errno.ENOSPC:
        return StorageFull("the disk is full", do="free some space and run it again")
    return WarehouseError(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def one_line(text: str) -> str:
    """The text with every run of white space made one space."""
    return " ".join(text.split())


def wrong_use(error: click.ClickException) -> UsageError:
    """A refusal by click in the words of this command line: what came, what is allowed, what to do."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    do = f"see '{context.command_path if context else 'warehouse'} --help'"
    if isinstance(error, click.NoSuchOption):
        known = _options(context)
        return UsageError(
            f"no option {error.option_name}", allowed=", ".join(known), do=close_match(error.option_name, known)
        )
    if isinstance(error, click.MissingParameter):
        return UsageError(f"{_hint(error)} is missing", do=do)
    if isinstance(error, click.BadParameter) and error.param:
        came = error.message.partition(" is not")[0]
        return UsageError(f"{_hint(error)} came as {came}", allowed=_allowed(error.param.type), do=do)
    said = one_line(error.format_message()).rstrip(".")
    return UsageError(said[:1].lower() + said[1:], do=do)


def _hint(error: click.BadParameter) -> str:
    """``--format`` or ``SAMPLE``: the parameter as it is typed."""
    names = error.param.opts if isinstance(error.param, click.Option) else []
    return names[-1] if names else error.param.human_readable_name if error.param else "an argument"


def _allowed(kind: click.ParamType[Any]) -> str:
    if isinstance(kind, click.Choice):
        return ", ".join(map(str, kind.choices))
    if isinstance(kind, click.IntRange):
        return f"a whole number from {kind.min}" + (f" to {kind.max}" if kind.max is not None else "")
    return ""


def _options(context: click.Context | None) -> list[str]:
    if context is None:
        return []
    parameters = context.command.get_params(context)
    return [word for item in parameters if isinstance(item, click.Option) for word in item.opts if word[:2] == "--"]


def close_match(word: str, words: Iterable[str]) -> str:
    """The advice to try the nearest of ``words``, or empty where none is near."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"try {near[0]!r}" if near else ""
