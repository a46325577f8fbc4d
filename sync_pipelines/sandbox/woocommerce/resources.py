"""What every kind of record can be asked for: create, read, change, delete, and all of that in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sync_pipelines.sandbox.woocommerce.calls import Answer, Call, encoded, trimmed
from sync_pipelines.sandbox.woocommerce.errors import ApiError, PhpCrash, no_trash
from sync_pipelines.sandbox.woocommerce.links import address
from sync_pipelines.sandbox.woocommerce.listing import text_of
from sync_pipelines.sandbox.woocommerce.model import Record
from sync_pipelines.sandbox.woocommerce.schema import Schema, loosened, numeric
from sync_pipelines.sandbox.woocommerce.state import ShopState

LARGEST_BATCH = 100

Kept = TypeVar("Kept", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[Kept]):
    """One kind of record.

    Attributes:
        find: gives a record by its number, within what the address names.
        create, update: take checked or loosened parameters.
        trash: puts a record into the trash; ``None`` where there is none.
        remove: deletes for good.
        view: how a record is told.
        new, changed: kinds of the parameters; ``required`` are needed for a new record.
        missing: code and sentence for a number that nobody has.
        missing_on_change: status, code and sentence of the same for a change.
        noun, plural: what the refusals of a deletion call it.
        location: address of a new record below the base, as the shop tells it.
        hides_missing: whether the right to look is tied to the record, so that the answer for a missing one, or for one
            that was just deleted for good, tells no methods.
    """

    find: Callable[[Call, int], Kept | None]
    create: Callable[[Call, Mapping[str, Any]], Kept]
    update: Callable[[Call, Kept, Mapping[str, Any]], Kept]
    remove: Callable[[ShopState, Kept], object]
    view: Callable[[ShopState, Kept, str], Mapping[str, Any]]
    new: Schema
    changed: Schema
    missing: tuple[str, str]
    missing_on_change: tuple[int, str, str]
    location: Callable[[Call, Kept], str]
    trash: Callable[[ShopState, Kept], object] | None = None
    required: tuple[str, ...] = field(default=())
    noun: str = ""
    plural: str = ""
    hides_missing: bool = False

    def show(self, call: Call) -> Answer:
        """Answer a GET of one record."""
        record = self._found(call, call.names["id"])
        return Answer(text_of(call, record, self.view, in_list=False))

    def add(self, call: Call) -> Answer:
        """Answer a POST to the collection."""
        record = self.create(call, call.values(self.new, self.required))
        return Answer(self._told(call, record), 201, {"Location": address(call.world, self.location(call, record))})

    def change(self, call: Call) -> Answer:
        """Answer a PUT, PATCH or POST of one record, which are the same."""
        values = call.values(self.changed)
        return Answer(self._told(call, self._changed(call, call.names["id"], values)))

    def delete(self, call: Call) -> Answer:
        """Answer a DELETE; the answer shows the record as it was before it went to the trash."""
        forces = call.forces
        record = self._found(call, call.names["id"])
        if not forces and self.trash is None:
            raise no_trash(self.plural)
        if not forces and getattr(record, "status", "") == "trash":
            raise ApiError(410, "woocommerce_rest_already_trashed", f"The {self.noun} has already been deleted.")
        if not forces and self.trash is not None:
            text = self._told(call, record)
            self.trash(call.world, record)
            return Answer(text)
        text = encoded(trimmed(self._removed(call, record), call.fields, in_list=False))
        return Answer(text, shows_methods=not self.hides_missing)

    def batch(self, call: Call) -> Answer:
        """Answer a POST of several operations: one by one, in order, never undone; 200 whatever becomes of them.

        Raises:
            ApiError: 413 for more than 100 items in sum.
            PhpCrash: an item that is no object; the items before it stay done.
        """
        asked = {name: rows for name, rows in call.json().items() if isinstance(rows, list)}
        work = {"create": self._create_item, "update": self._update_item, "delete": self._delete_item}
        if sum(len(asked.get(name, ())) for name in work) > LARGEST_BATCH:
            message = f"Unable to accept more than {LARGEST_BATCH} items for this request."
            raise ApiError(413, "woocommerce_rest_request_entity_too_large", message)
        done = {name: [do(call, item) for item in asked[name]] for name, do in work.items() if name in asked}
        return Answer(encoded(trimmed(done, call.fields, in_list=True)) if done else "[]")

    def _create_item(self, call: Call, item: Any) -> Mapping[str, Any]:
        try:
            record = self.create(call, loosened(self.new, _object(item)))
        except ApiError as error:
            return {"id": 0, "error": error.body}
        return self.view(call.world, record, "edit")

    def _update_item(self, call: Call, item: Any) -> Mapping[str, Any]:
        number = _object(item).get("id")
        try:
            record = self._changed(call, int(numeric(number) or 0), loosened(self.changed, item))
        except ApiError as error:
            return {"id": number, "error": error.body}
        return self.view(call.world, record, "edit")

    def _delete_item(self, call: Call, item: Any) -> Mapping[str, Any]:
        try:
            record = self._found(call, int(numeric(item) or 0))
        except ApiError as error:
            return {"id": item, "error": error.body}
        return self._removed(call, record)

    def _removed(self, call: Call, record: Kept) -> Mapping[str, Any]:
        """Delete a record for good and return it as it was."""
        before = self.view(call.world, record, "edit")
        self.remove(call.world, record)
        # Its links are made afterwards, when there is nobody left whose rights could be asked for.
        return {**before, "_links": self.view(call.world, record, "edit")["_links"]} if self.hides_missing else before

    def _told(self, call: Call, record: Kept) -> str:
        """Return a record as the answer to a write, which is in the context edit."""
        return encoded(trimmed(self.view(call.world, record, "edit"), call.fields, in_list=False))

    def _found(self, call: Call, number: int) -> Kept:
        record = self.find(call, number)
        if record is None:
            raise ApiError(404, *self.missing, hides_methods=self.hides_missing)
        return record

    def _changed(self, call: Call, number: int, values: Mapping[str, Any]) -> Kept:
        record = self.find(call, number)
        if record is None:
            raise ApiError(*self.missing_on_change, hides_methods=self.hides_missing)
        return self.update(call, record, values)


def _object(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise PhpCrash("WC_REST_Controller::batch_items(): Argument must be of type array")
    return item
