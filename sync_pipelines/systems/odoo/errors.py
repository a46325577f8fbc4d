"""What each failure of Odoo means: the one place where it is decided, by the exception's name.

============================================================ =================== ==============
failure                                                      kind                reason
============================================================ =================== ==============
AccessDenied, Unauthorized, any 401                          auth                auth
AccessError                                                  auth                forbidden
unknown database                                             auth                setting
ValidationError, UserError, ValueError                       permanent           validation
the same, about a unique value                               permanent           duplicate_key
MissingError of an addressed record                          gone                missing
MissingError of a linked record                              permanent           missing
SerializationFailure, deadlock, lock not available           transient           conflict
no such model, method or argument; a body that is no JSON    permanent           bad_call
an error of the database server, 5xx or any page of a proxy  transient/ambiguous unknown
============================================================ =================== ==============

The status says too little: 500 is a wrong value (never to be sent again) as well as a lost race (to be sent again), and
over JSON-RPC it is always 200. Where two kinds are given, the second is a write's. A lost race is transient for a write
too: the transaction was rolled back. Tracebacks (``debug``) and arguments never get into an error.
"""

from __future__ import annotations

import re
from enum import StrEnum

from sync_pipelines.core.errors import Cause, FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.odoo.calls import PEER, Call

LONGEST_MESSAGE = 300

_TRACEBACK = re.compile(r"(?s)(Traceback \(most recent call last\)|\"debug\"\s*:).*")


class Reason(StrEnum):
    """Why Odoo refused, as far as it said so."""

    DUPLICATE_KEY = "duplicate_key"
    """A value that must be unique is taken. Recognized by English texts, and by PostgreSQL's own."""
    VALIDATION = "validation"
    """A value or a business rule."""
    AUTH = "auth"
    """The key or the login is wrong or has expired."""
    FORBIDDEN = "forbidden"
    """The user lacks a right, to the model or to one record."""
    MISSING = "missing"
    """A record does not exist."""
    CONFLICT = "conflict"
    """Somebody else changed the same at the same time. Nothing was done."""
    BAD_CALL = "bad_call"
    """There is no such model, method or argument: a module is not installed, or the version differs."""
    SETTING = "setting"
    """The address or the database of the connection is wrong."""
    MALFORMED = "malformed"
    """The answer, or one row of it, is not what it should be."""
    UNKNOWN = "unknown"
    """It was not told."""


class OdooError(PeerError):
    """A refusal by Odoo.

    Attributes:
        reason: see :class:`Reason`.
        name: the exception's name as answered, e.g. ``odoo.exceptions.ValidationError``; empty without one.
    """

    def __init__(
        self,
        kind: FailureKind,
        reason: Reason,
        message: str,
        *,
        name: str = "",
        status: int | None = None,
        key: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(PEER, kind, message, status=status, key=key, operation=operation)
        self.reason = reason
        self.name = name

    @property
    def cause(self) -> Cause | None:
        """What the refusal was about."""
        return Cause.DUPLICATE_KEY if self.reason is Reason.DUPLICATE_KEY else None


class MalformedRow(OdooError):
    """One row of an answer cannot be read; the others can. ``key`` names it, e.g. ``res.partner 17``."""

    def __init__(self, model: str, record: int, problem: str) -> None:
        message = f"the row cannot be read: {problem:.200}"
        super().__init__(
            FailureKind.PERMANENT, Reason.MALFORMED, message, key=f"{model} {record}", operation=f"{model}.read"
        )
        self.record = record


class TracebackRedactor(Redactor):
    """Masks what another redactor masks, the given secrets, and everything that is a traceback."""

    def __init__(self, redactor: Redactor, secrets: tuple[str, ...]) -> None:
        super().__init__(secrets)
        self._redactor = redactor

    def text(self, text: str) -> str:
        """Return the text without secrets and tracebacks."""
        return _TRACEBACK.sub("(traceback left out)", super().text(self._redactor.text(text)))


_P, _A, _T = FailureKind.PERMANENT, FailureKind.AUTH, FailureKind.TRANSIENT
_BY_NAME: dict[str, tuple[FailureKind, Reason]] = {
    "odoo.exceptions.AccessDenied": (_A, Reason.AUTH),
    "odoo.http.SessionExpiredException": (_A, Reason.AUTH),
    "werkzeug.exceptions.Unauthorized": (_A, Reason.AUTH),
    "odoo.exceptions.AccessError": (_A, Reason.FORBIDDEN),
    "werkzeug.exceptions.Forbidden": (_A, Reason.FORBIDDEN),
    "odoo.exceptions.ConcurrencyError": (_T, Reason.CONFLICT),
    "odoo.exceptions.LockError": (_T, Reason.CONFLICT),
    "psycopg2.errors.DeadlockDetected": (_T, Reason.CONFLICT),
    "psycopg2.errors.LockNotAvailable": (_T, Reason.CONFLICT),
    "psycopg2.errors.SerializationFailure": (_T, Reason.CONFLICT),
    "psycopg2.extensions.TransactionRollbackError": (_T, Reason.CONFLICT),
    "psycopg2.errors.UniqueViolation": (_P, Reason.DUPLICATE_KEY),
}
_VALIDATIONS = frozenset(
    {
        "builtins.OverflowError",
        "builtins.ValueError",
        "odoo.exceptions.RedirectWarning",
        "odoo.exceptions.UserError",
        "odoo.exceptions.ValidationError",
        "psycopg2.DataError",
        "psycopg2.IntegrityError",
        "psycopg2.errors.CheckViolation",
        "psycopg2.errors.ForeignKeyViolation",
        "psycopg2.errors.InvalidTextRepresentation",
        "psycopg2.errors.NotNullViolation",
        "psycopg2.errors.NumericValueOutOfRange",
        "psycopg2.errors.StringDataRightTruncation",
    }
)
_BAD_CALLS = frozenset(
    {
        "builtins.AttributeError",
        "builtins.KeyError",
        "builtins.TypeError",
        "werkzeug.exceptions.BadRequest",
        "werkzeug.exceptions.MethodNotAllowed",
        "werkzeug.exceptions.NotFound",
        "werkzeug.exceptions.RequestEntityTooLarge",
        "werkzeug.exceptions.UnprocessableEntity",
        "werkzeug.exceptions.UnsupportedMediaType",
    }
)
_DUPLICATE = re.compile(r"already assigned|must be unique|duplicate key value|already exists", re.IGNORECASE)
_LOST_RACE = re.compile(r"could not serialize access|deadlock detected|could not obtain lock|in_failed_sql_transaction")
_NO_DATABASE = re.compile(r"database \"?[^\"]*\"? does not exist")
_NO_CONNECTION = re.compile(r"^\s*(connection to server|could not connect|FATAL:)|connection pool is full", re.I)
# "(Record: res.partner(9,), User: 5)"; the words around are in the user's language.
_MISSING_RECORD = re.compile(r"\([^():]+: ([a-z][a-z0-9_.]*)\((\d+)")


def meaning(call: Call, name: str, message: str, *, uid: int | None = None) -> tuple[FailureKind, Reason]:
    """Return how to treat an exception of the server.

    Arguments:
        name: the exception, with its module.
        message: what it says.
        uid: the user that the call was made as, when the protocol names one.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in _VALIDATIONS:
        return FailureKind.PERMANENT, told_reason(message)
    if name in _BAD_CALLS:
        return FailureKind.PERMANENT, Reason.BAD_CALL
    if name == "odoo.exceptions.MissingError":
        return _missing(call, message, uid)
    if name == "psycopg2.OperationalError":
        return _operational(call, message)
    # Also a hook that fails after the commit shows as an exception: nothing is known of a write.
    return unknown(call), Reason.UNKNOWN


def told_reason(message: str) -> Reason:
    """Return which of the two reasons for a refusal of data a text gives."""
    return Reason.DUPLICATE_KEY if _DUPLICATE.search(message) else Reason.VALIDATION


def is_lost_race(message: str) -> bool:
    """Whether a text of the database says that another transaction came first."""
    return _LOST_RACE.search(message) is not None


def unknown(call: Call) -> FailureKind:
    """Return the kind of a failure that says nothing about the outcome."""
    return FailureKind.AMBIGUOUS if call.is_write else FailureKind.TRANSIENT


def unexpected_shape(call: Call, reason: str) -> OdooError:
    """Return the error for a success whose value is not what was expected. A create may have been done all the same."""
    message = f"the answer has an unexpected shape: {reason:.200}"
    return OdooError(unknown(call), Reason.MALFORMED, message, operation=call.operation)


def hint(call: Call, kind: FailureKind, reason: Reason, message: str) -> str:
    """Return what an operator should do, to be put behind the message; empty where the message says it."""
    if reason is Reason.AUTH:
        return " - check the key (API keys expire) and, for JSON-RPC, the login"
    if reason is Reason.SETTING:
        return " - check the address and the database of the connection"
    if reason is Reason.BAD_CALL and kind is FailureKind.PERMANENT:
        return " - is the module installed, and is it this version of Odoo?"
    if "trying to delete" in message and call.method != "unlink":
        # Sent for a link to a record that does not exist, too.
        return " - or a linked record does not exist"
    return ""


def _missing(call: Call, message: str, uid: int | None) -> tuple[FailureKind, Reason]:
    named = _MISSING_RECORD.search(message)
    if named is None:
        return (FailureKind.GONE if call.ids else FailureKind.PERMANENT), Reason.MISSING
    model, record = named[1], int(named[2])
    if model == "res.users" and record == uid:
        # JSON-RPC takes any user id and fails when it looks for the user.
        return FailureKind.AUTH, Reason.AUTH
    if model == call.model and record in (call.ids or ()):
        return FailureKind.GONE, Reason.MISSING
    return FailureKind.PERMANENT, Reason.MISSING


def _operational(call: Call, message: str) -> tuple[FailureKind, Reason]:
    if _NO_DATABASE.search(message):
        return FailureKind.AUTH, Reason.SETTING
    if is_lost_race(message):
        return FailureKind.TRANSIENT, Reason.CONFLICT
    if _NO_CONNECTION.search(message):
        # Without a connection to its database the server cannot have begun.
        return FailureKind.TRANSIENT, Reason.UNKNOWN
    return unknown(call), Reason.UNKNOWN
