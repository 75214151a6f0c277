"""One tree of errors; every message says what came, what is allowed and what to do.

WarehouseError                 anything this library refuses or cannot do
├── UsageError                 wrong use of a command or a call; exit status 2
│   └── RecipeError            a YAML, SQL header or suite that is refused, with its file and line
├── InputError                 bytes that cannot be read as what they claim to be (an object, not a record)
├── NotFound                   a table, document, release or sample that does not exist; exit status 2
├── FormatError                a store, table or release written by another version or using an unknown feature
├── ConservationError          a write whose rows do not add up
├── CheckFailed                a gate refused to publish or to export; exit status 1
├── Revoked                    a release that was taken back, with the reason; exit status 1
├── IntegrityError             bytes that do not match their recorded hash; exit status 1
├── StateError                 a loader state that belongs to another data set or another order
├── Busy                       another process holds the table or the environment
├── NetworkError               a server or network that fails for now; the only error that a run tries again
├── StorageFull                the disk is full; nothing half-written is visible
└── MissingExtra               a part of the distribution that is not installed

The values of a message are attributes too, so that a program need not parse it.
"""

from __future__ import annotations


class WarehouseError(Exception):
    """What came, what is allowed, what to do: three sentences at most, in one line.

    ``exit_status`` is what the command line returns: 1 when work or data failed, 2 when the call was wrong.
    """

    exit_status = 1

    def __init__(self, came: str, *, allowed: str = "", do: str = "", **values: object) -> None:
        self.came, self.allowed, self.do, self.values = came, allowed, do, values
        parts = [came, f"Allowed: {allowed}" if allowed else "", f"Do: {do}" if do else ""]
        super().__init__(". ".join(part.rstrip(".") for part in parts if part) + ".")

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.came, self.allowed, self.do, self.values)


def _again(cls: type[WarehouseError], came: str, allowed: str, do: str, values: dict[str, object]) -> WarehouseError:
    """Rebuild an error on the other side of a process boundary."""
    return cls(came, allowed=allowed, do=do, **values)


class UsageError(WarehouseError):
    """A command or call used wrongly."""

    exit_status = 2


class RecipeError(UsageError):
    """A file of the project that is refused; ``came`` starts with ``file:line:``."""


class InputError(WarehouseError):
    """An object that cannot be read as what it claims to be."""


class NotFound(WarehouseError):
    """A name that points at nothing."""

    exit_status = 2


class FormatError(WarehouseError):
    """A store, table or release of an unknown version or feature."""


class ConservationError(WarehouseError):
    """rows_in differs from rows_out + unchanged + rejected + dropped."""


class CheckFailed(WarehouseError):
    """A gate that refused; the last good snapshot stays."""


class IntegrityError(WarehouseError):
    """Bytes that differ from what their manifest recorded."""


class Revoked(WarehouseError):
    """A release that was taken back: what it held is gone, and its copies are to be deleted."""


class StateError(WarehouseError):
    """A loader state that does not belong to the opened release and order."""


class Busy(WarehouseError):
    """Another process holds what this one needs."""


class NetworkError(WarehouseError):
    """A transfer that may succeed later; the value ``retry_after_s`` is what the server asked for, if it did."""

    @property
    def asked_wait_s(self) -> float:
        """Seconds that the server asked to wait; 0 where it did not."""
        wait = self.values.get("retry_after_s")
        return float(wait) if isinstance(wait, int) else 0.0


class StorageFull(WarehouseError):
    """No space left; what was being written is not visible."""


class MissingExtra(UsageError):
    """A verb or class whose extra is not installed."""
