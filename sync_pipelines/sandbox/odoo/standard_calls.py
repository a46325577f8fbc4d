"""The calls that every model answers besides search, read and the writes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sync_pipelines.sandbox.odoo.calling import on_model, on_records
from sync_pipelines.sandbox.odoo.domains import prepared
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.fields import LOG_FIELDS
from sync_pipelines.sandbox.odoo.importing import load
from sync_pipelines.sandbox.odoo.records import Model, as_ids
from sync_pipelines.sandbox.odoo.wording import german


class StandardModel(Model):
    """A model with all calls."""

    @on_model
    def load(self, env: Env, fields: Any, data: Any) -> dict[str, Any]:
        return load(env, self, fields, data)

    @on_model
    def fields_get(self, env: Env, allfields: Any = None, attributes: Any = None) -> dict[str, dict[str, Any]]:
        told: dict[str, dict[str, Any]] = {}
        for name, field in self.fields.items():
            if allfields and name not in allfields:
                continue
            say = german if env.lang == "de_DE" else str
            facts: dict[str, Any] = {
                "type": field.type,
                "string": say(field.label),
                "required": field.required,
                "readonly": field.readonly,
            }
            if field.relation:
                facts["relation"] = field.relation
            if field.selection:
                facts["selection"] = [[value, say(label)] for value, label in field.selection]
            told[name] = {key: fact for key, fact in facts.items() if not attributes or key in attributes}
        return told

    @on_model
    def name_create(self, env: Env, name: str) -> tuple[int, str]:
        row_id = self.create(env, [{"name": name}])[0]
        return row_id, self.display(env, self.table.rows[row_id])

    @on_records
    def copy(self, env: Env, ids: Any, default: Any = None) -> list[int]:
        copies = []
        for row_id in self.existing(env, ids):
            row = self.table.rows[row_id]
            values = {
                name: [[6, 0, row[name]]] if field.type == "many2many" else row[name]
                for name, field in self.columns.items()
                if name not in LOG_FIELDS and not field.readonly and field.type != "datetime"
            }
            copies += self.create(env, [{**values, "name": f"{row.get('name')} (copy)", **(default or {})}])
        return copies

    @on_records
    def action_archive(self, env: Env, ids: Any) -> None:
        self.write(env, ids, {"active": False})

    @on_records
    def action_unarchive(self, env: Env, ids: Any) -> None:
        self.write(env, ids, {"active": True})

    @on_records
    def get_external_id(self, env: Env, ids: Any) -> dict[str, str]:
        return {str(one): next(iter(env.world.external_ids.of(self.name, one)), "") for one in as_ids(ids)}

    @on_records
    def get_metadata(self, env: Env, ids: Any) -> list[dict[str, Any]]:
        told = []
        for row in self.read(env, ids, [name for name in LOG_FIELDS if name != "display_name"]):
            names = [{"xmlid": name, "noupdate": False} for name in env.world.external_ids.of(self.name, row["id"])]
            told.append({**row, "xmlid": names[0]["xmlid"] if names else False, "noupdate": False, "xmlids": names})
        return told

    @on_model
    def formatted_read_group(
        self,
        env: Env,
        domain: Any,
        groupby: Any = (),
        aggregates: Any = (),
        having: Any = (),
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[dict[str, Any]]:
        """Count by one field; nothing else was recorded."""
        name = groupby[0]
        get = self.getter(env, name)
        counts = Counter(get(row) for row in prepared(env, self, domain).found(self))
        groups = sorted(counts, key=lambda value: (value is None, value))
        return [
            {
                name: False if value is None else value,
                "__extra_domain": [[name, "=", False if value is None else value]],
                "__count": counts[value],
            }
            for value in groups
        ]

    @on_records
    def get_field_translations(self, env: Env, ids: Any, field_name: str, langs: Any = None) -> list[Any]:
        row = self.table.rows[self.existing(env, ids)[0]]
        source = row[field_name]
        told = [
            {"lang": lang, "source": source, "value": row.get(f"{field_name}@{lang}", source)}
            for lang, installed in sorted(env.world.languages.items())
            if installed
        ]
        return [told, {"translation_type": self.fields[field_name].type, "translation_show_source": False}]

    @on_records
    def update_field_translations(self, env: Env, ids: Any, field_name: str, translations: Any) -> bool:
        for row_id in self.existing(env, ids):
            named = {
                field_name if lang == "en_US" else f"{field_name}@{lang}": value for lang, value in translations.items()
            }
            env.put(self, self.table.rows[row_id], **named)
        return True
