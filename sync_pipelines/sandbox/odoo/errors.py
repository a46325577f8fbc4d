"""Refusals of an Odoo server, by the exception name that its clients see in every protocol."""

from __future__ import annotations

from collections.abc import Mapping

_STATUS: Mapping[str, int] = {
    "odoo.exceptions.AccessDenied": 401,
    "odoo.exceptions.AccessError": 403,
    "odoo.exceptions.MissingError": 404,
    "odoo.exceptions.UserError": 422,
    "odoo.exceptions.ValidationError": 422,
    "werkzeug.exceptions.BadRequest": 400,
    "werkzeug.exceptions.Unauthorized": 401,
    "werkzeug.exceptions.NotFound": 404,
    "werkzeug.exceptions.UnprocessableEntity": 422,
}


class OdooError(Exception):
    """An exception of the server.

    Arguments:
        name: dotted class name as on the wire.
        message: its text.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    @property
    def status(self) -> int:
        """HTTP status of JSON-2; what has no place in the table is a 500, be it a client's mistake or a bad moment."""
        return _STATUS.get(self.name, 500)


def access_denied() -> OdooError:
    """Return the refusal of a wrong password or key."""
    return OdooError("odoo.exceptions.AccessDenied", "Access Denied")


def access_error(message: str) -> OdooError:
    """Return the refusal of a caller without the right."""
    return OdooError("odoo.exceptions.AccessError", message)


def missing(model: str, record: int, user: int) -> OdooError:
    """Return the refusal of a record that is not there."""
    text = f"Record does not exist or has been deleted.\n(Record: {model}({record},), User: {user})"
    return OdooError("odoo.exceptions.MissingError", text)


def user_error(message: str) -> OdooError:
    """Return the refusal by a business rule."""
    return OdooError("odoo.exceptions.UserError", message)


def validation_error(message: str) -> OdooError:
    """Return the refusal by a constraint."""
    return OdooError("odoo.exceptions.ValidationError", message)


def still_used(user_label: str, user_model: str, field_label: str, field: str) -> OdooError:
    """Return the refusal by a foreign key, which speaks of deleting whatever was asked for."""
    return validation_error(
        "The operation cannot be completed: Another model is using the record you are trying to delete.\n\n"
        f"The troublemaker is: '{user_label}' ({user_model})\n"
        f"Thanks to the following constraint: '{field_label}' ({field})\n"
        "How about archiving the record instead?"
    )


def value_missing(field_label: str, field: str, label: str, model: str) -> OdooError:
    """Return the refusal of a record without a required value."""
    return validation_error(
        f"The operation cannot be completed: Missing required value for the field '{field_label}' ({field}).\n"
        f"Model: '{label}' ({model})\n"
        "- create/update: a mandatory field is not set\n"
        "- delete: another model requires the record being deleted, you can archive it instead\n"
    )


def value_error(message: str) -> OdooError:
    """Return what a Python ValueError becomes: status 500, although the data are at fault and no retry helps."""
    return OdooError("builtins.ValueError", message)


def serialization_failure() -> OdooError:
    """Return what is left when the server's own five tries did not get through: transient."""
    text = "could not serialize access due to concurrent update\n"
    return OdooError("psycopg2.errors.SerializationFailure", text)


def unauthorized(message: str) -> OdooError:
    """Return JSON-2's refusal of a missing, wrong or expired key."""
    return OdooError("werkzeug.exceptions.Unauthorized", message)


def not_found(message: str) -> OdooError:
    """Return JSON-2's answer for a model, method or address that is not there."""
    return OdooError("werkzeug.exceptions.NotFound", message)


def unprocessable(message: str) -> OdooError:
    """Return JSON-2's refusal of arguments that do not fit the method."""
    return OdooError("werkzeug.exceptions.UnprocessableEntity", message)
