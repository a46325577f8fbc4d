"""Validators with the messages and the quirks of Django REST framework fields.

Each field turns a JSON value into a clean one or raises :class:`Invalid`. ``null``, blank and missing are three
different things, as in the real API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from sync_pipelines.sandbox.waldur.errors import Invalid

_TRUE = ("t", "T", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "1")
_FALSE = ("f", "F", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", "0")


class Field(Protocol):
    """Something that cleans one JSON value."""

    @property
    def required(self) -> bool: ...

    @property
    def nullable(self) -> bool: ...

    def clean(self, value: Any) -> Any:
        """The cleaned value; raises :class:`Invalid`. Never called with ``None``."""


@dataclass(frozen=True)
class Text:
    """A string that is trimmed; numbers become strings."""

    max_length: int | None = None
    required: bool = False
    nullable: bool = False
    blank: bool = True
    pattern: str | None = None

    def clean(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Invalid(["Not a valid string."])
        text = str(value).strip()
        if not text:
            if not self.blank:
                raise Invalid(["This field may not be blank."])
            return ""
        problems = []
        if self.max_length is not None and len(text) > self.max_length:
            problems.append(f"Ensure this field has no more than {self.max_length} characters.")
        if "\x00" in text:
            problems.append("Null characters are not allowed.")
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            problems.append("Enter a valid value.")
        if problems:
            raise Invalid(problems)
        return text


@dataclass(frozen=True)
class Flag:
    """A boolean, or one of the many words for it."""

    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> bool:
        if isinstance(value, bool | int | float | str):
            if value is True or value == 1 or value in _TRUE:
                return True
            if value is False or value == 0 or value in _FALSE:
                return False
        raise Invalid(["Must be a valid boolean."])


@dataclass(frozen=True)
class Integer:
    """An integer; strings of digits are accepted."""

    required: bool = False
    nullable: bool = True
    minimum: int | None = None

    def clean(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Invalid(["A valid integer is required."])
        try:
            number = int(re.sub(r"\.0*\s*$", "", str(value)))
        except ValueError:
            raise Invalid(["A valid integer is required."]) from None
        if self.minimum is not None and number < self.minimum:
            raise Invalid([f"Ensure this value is greater than or equal to {self.minimum}."])
        return number


@dataclass(frozen=True)
class Real:
    """A floating point number."""

    required: bool = False
    nullable: bool = True

    def clean(self, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise Invalid(["A valid number is required."]) from None


@dataclass(frozen=True)
class Money:
    """A non-negative decimal of at most 12 digits before and 10 after the point.

    Signs, blanks, exponents and digits of other scripts are accepted: ``"+5"``, ``" 5 "``, ``"1e3"``, ``"٣"``.
    """

    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> Decimal:
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            raise Invalid(["A valid number is required."]) from None
        if not number.is_finite():
            raise Invalid(["A valid number is required."])
        _, digits, exponent = number.as_tuple()
        places = max(0, -int(exponent))
        whole = max(0, len(digits) + int(exponent))
        problems = []
        if max(whole + places, len(digits)) > 22:
            problems.append("Ensure that there are no more than 22 digits in total.")
        elif places > 10:
            problems.append("Ensure that there are no more than 10 decimal places.")
        elif whole > 12:
            problems.append("Ensure that there are no more than 12 digits before the decimal point.")
        if number < 0 and not problems:
            problems.append("Ensure this value is greater than or equal to 0.")
        if problems:
            raise Invalid(problems)
        return abs(number)


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    choices: Collection[str]
    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise Invalid([f'"{value}" is not a valid choice.'])
        return value


@dataclass(frozen=True)
class Anything:
    """Any JSON value but ``null``."""

    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Attributes:
    """A free JSON object."""

    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Invalid(["Dictionary is expected."])
        return value


@dataclass(frozen=True)
class MapOf:
    """A JSON object whose values are all cleaned by one field."""

    values: Field
    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Invalid([f'Expected a dictionary of items but got type "{type(value).__name__}".'])
        return Form(dict.fromkeys(value, self.values)).clean(value)


@dataclass(frozen=True)
class ListOf:
    """A list of objects; ``empty_error`` is the whole detail for an empty list where one is not allowed."""

    form: Form
    required: bool = False
    nullable: bool = False
    empty_error: Any = None

    def clean(self, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            message = f'Expected a list of items but got type "{type(value).__name__}".'
            raise Invalid({"non_field_errors": [message]})
        if not value and self.empty_error is not None:
            raise Invalid(self.empty_error)
        cleaned: list[dict[str, Any]] = []
        errors: list[Any] = []
        for item in value:
            try:
                cleaned.append(self.form.clean(item))
                errors.append({})
            except Invalid as problem:
                errors.append(problem.detail)
        if any(errors):
            raise Invalid(errors)
        return cleaned


@dataclass(frozen=True)
class Link:
    """A hyperlink to an object. ``find`` gives the object for a URL or raises :class:`Invalid`."""

    find: Callable[[str], Any]
    required: bool = False
    nullable: bool = False

    def clean(self, value: Any) -> Any:
        if value == "":
            if self.nullable:
                return None
            raise Invalid(["This field may not be null."])
        if not isinstance(value, str):
            raise Invalid([f"Incorrect type. Expected URL string, received {type(value).__name__}."])
        return self.find(value)


@dataclass(frozen=True)
class Form:
    """A JSON object with known fields; unknown keys are ignored."""

    fields: Mapping[str, Field]
    required: bool = False
    nullable: bool = False

    def clean(self, value: Any, *, partial: bool = False) -> dict[str, Any]:
        """Cleaned values of the fields that were sent.

        Arguments:
            value: the parsed request body.
            partial: missing fields are no error.

        Raises:
            Invalid: with the messages of all wrong fields.
        """
        if value is None:
            raise Invalid({"non_field_errors": ["No data provided"]})
        if not isinstance(value, dict):
            message = f"Invalid data. Expected a dictionary, but got {type(value).__name__}."
            raise Invalid({"non_field_errors": [message]})
        cleaned: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for name, known in self.fields.items():
            try:
                if name in value:
                    cleaned[name] = self._clean_one(known, value[name])
                elif known.required and not partial:
                    errors[name] = ["This field is required."]
            except Invalid as problem:
                errors[name] = problem.detail
        if errors:
            raise Invalid(errors)
        return cleaned

    @staticmethod
    def _clean_one(known: Field, value: Any) -> Any:
        if value is not None:
            return known.clean(value)
        if known.nullable:
            return None
        raise Invalid(["This field may not be null."])
