"""Paths of secrets, checked before anything is sent.

The server does not resolve ``..`` but redirects to the cleaned path, for a POST too; it takes ``%2F`` for a slash, and
libraries on the way clean paths as they like. An instance id from a foreign manifest must not address anything else.
"""

from __future__ import annotations

import re

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.transport import segment

PEER = "vault"
_ENCODED = re.compile(r"%(2[ef]|5c|00)", re.IGNORECASE)


class InvalidPath(PeerError):
    """A path that would address another secret than the one meant. Nothing was sent."""


def secret_path(path: str) -> str:
    """Return a path below a mount, percent-encoded.

    Raises:
        InvalidPath: it has an empty or a dot segment, an encoded slash or dot, a backslash or a control character.
    """
    if _ENCODED.search(path):
        raise _invalid(path, "it contains an encoded slash, backslash, dot or null")
    try:
        return "/".join(map(segment, path.split("/")))
    except ValueError as error:
        # UnicodeEncodeError is one too: half a surrogate pair.
        raise _invalid(path, str(error)) from None


def folder_path(path: str) -> str:
    """Return a folder below a mount, percent-encoded; empty for the mount itself. A slash at the end does not matter.

    Raises:
        InvalidPath: as in :func:`secret_path`.
    """
    return secret_path(path.removesuffix("/")) if path else ""


def _invalid(path: str, reason: str) -> InvalidPath:
    return InvalidPath(PEER, FailureKind.PERMANENT, f"{path!r} is no path of a secret: {reason}")
