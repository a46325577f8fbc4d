"""External ids: names by which importers know records, kept in ``ir.model.data``."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import validation_error
from sync_pipelines.sandbox.odoo.fields import Fields, boolean, char, integer
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row

NO_MODULE = "__import__"
"""The module of an external id that names none."""


class ModelData(StandardModel):
    """``ir.model.data``."""

    name = "ir.model.data"
    label = "Model Data"
    order = "module, model, name"
    # A fresh database has this many of its own.
    first_id = 37689
    own_fields: ClassVar[Fields] = {
        "name": char("External Identifier", required=True),
        "module": char("Module", required=True),
        "model": char("Model Name", required=True),
        "res_id": integer("Record ID", indexed=True),
        "noupdate": boolean("Non Updatable"),
        "complete_name": char("Complete ID", indexed=True, readonly=True),
    }

    def defaults(self, env: Env, values: dict[str, Any]) -> None:
        values["complete_name"] = f"{values.get('module', '')}.{values.get('name')}"

    def check(self, env: Env, row: Row) -> None:
        if len(self.table.having("complete_name", row["complete_name"])) > 1:
            raise validation_error(
                "The operation cannot be completed: duplicate key value violates unique constraint "
                '"ir_model_data_module_name_uniq_index"\n'
                f"DETAIL:  Key (module, name)=({row['module']}, {row['name']}) already exists.\n"
            )


class ExternalIds:
    """Look-ups in ``ir.model.data``, for whoever needs them without its rights.

    Arguments:
        data: the model.
    """

    def __init__(self, data: ModelData) -> None:
        self._data = data

    def find(self, name: str) -> tuple[str, int] | None:
        """Return model and id of the record with an external id."""
        rows = self._data.rows_where("complete_name", name if "." in name else f"{NO_MODULE}.{name}")
        return (rows[0]["model"], rows[0]["res_id"]) if rows else None

    def of(self, model: str, record: int) -> list[str]:
        """Return the external ids of a record."""
        return [row["complete_name"] for row in self._data.rows_where("res_id", record) if row["model"] == model]

    def set(self, env: Env, name: str, model: str, record: int) -> None:
        """Give a record an external id."""
        module, _, rest = name.rpartition(".") if "." not in name else name.partition(".")
        values = {"module": module or NO_MODULE, "name": rest, "model": model, "res_id": record}
        self._data.create(env, [values])

    def forget(self, env: Env, model: str, record: int) -> None:
        """Remove the external ids of a record that is removed."""
        for row in self._data.rows_where("res_id", record):
            if row["model"] == model:
                env.journal.put(self._data.table, row["id"], None)
