"""Trust in a certificate authority of the operator's own."""

from __future__ import annotations

import ssl

from sync_pipelines.core.errors import ConfigurationError

_PEM = "-----BEGIN"


def trusting(ca: str) -> ssl.SSLContext:
    """Return an SSL context that trusts this authority and no other.

    Arguments:
        ca: path of a PEM file, or the PEM text itself.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    place = "the CA certificate given as text" if _PEM in ca else f"the CA file {ca!r}"
    try:
        return ssl.create_default_context(cadata=ca) if _PEM in ca else ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise ConfigurationError(f"{place} holds no usable PEM certificate; export the CA as PEM text") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{place} cannot be read: {reason}; give the path of a PEM file") from None
