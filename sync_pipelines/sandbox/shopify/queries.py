"""Queries: checked against the schema, priced, and answered from the shop's records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    execute_sync,
    get_named_type,
    parse,
    validate,
)

from sync_pipelines.sandbox.shopify.schema import schema
from sync_pipelines.sandbox.shopify.search import matcher, page
from sync_pipelines.sandbox.shopify.world import Bulk, Record, ShopifyWorld

_MUTATION_COST = 10.0
_INNER = {"orders": "lineItems", "products": "variants"}


class Refused(Exception):
    """A query that is not answered at all, with the errors to tell."""

    def __init__(self, *errors: Mapping[str, Any]) -> None:
        super().__init__(str(errors))
        self.errors = list(errors)


def checked(text: str) -> DocumentNode:
    """Return the parsed query.

    Raises:
        Refused: it is not GraphQL, or asks for what there is not.
    """
    try:
        document = parse(text)
    except GraphQLError as error:
        raise Refused({"message": error.message, "extensions": {"code": "parseError"}}) from None
    found = validate(schema(), document)
    if found:
        raise Refused(*({"message": error.message, "extensions": {"code": "invalid"}} for error in found))
    return document


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    """Return the one operation of a document."""
    return next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))


def cost(document: DocumentNode, variables: Mapping[str, Any]) -> float:
    """Return what a query costs before it is answered: a point an object, and lists by the size asked for."""
    operation = operation_of(document)
    if operation.operation.value == "mutation":
        return _MUTATION_COST
    root = schema().query_type
    assert root is not None
    return max(1.0, _selection_cost(operation.selection_set, root, variables))


def _selection_cost(selected: SelectionSetNode | None, parent: GraphQLObjectType, given: Mapping[str, Any]) -> float:
    total = 0.0
    for node in selected.selections if selected else ():
        if isinstance(node, InlineFragmentNode):
            kind = schema().type_map[node.type_condition.name.value]
            assert isinstance(kind, GraphQLObjectType)
            total += _selection_cost(node.selection_set, kind, given)
        elif isinstance(node, FieldNode) and node.selection_set is not None:
            kind = get_named_type(parent.fields[node.name.value].type)
            inside = _selection_cost(node.selection_set, kind, given) if isinstance(kind, GraphQLObjectType) else 0.0
            first = _argument(node, "first", given)
            if kind.name.endswith("Connection"):
                total += 2 + (first or 0) * max(1.0, inside)
            elif kind.name == "PageInfo" or kind.name.endswith("Edge"):
                total += inside
            else:
                total += (1 + inside) * (first or 1)
    return total


def _argument(node: FieldNode, name: str, given: Mapping[str, Any]) -> int | None:
    for argument in node.arguments:
        if argument.name.value == name:
            if isinstance(argument.value, VariableNode):
                return given.get(argument.value.name.value)
            return int(getattr(argument.value, "value", 0))
    return None


def answer(world: ShopifyWorld, document: DocumentNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data`` and ``errors`` of a query."""
    result = execute_sync(
        schema(), document, _Root(world), variable_values=dict(variables), type_resolver=_type_of, field_resolver=_field
    )
    told: dict[str, Any] = {"data": result.data}
    if result.errors:
        told["errors"] = [
            {"message": error.message, "path": error.path, "extensions": error.extensions or {}}
            for error in result.errors
        ]
    return told


def points_of(data: Any) -> float:
    """Return what an answer really cost: its objects."""
    if isinstance(data, dict):
        return 1 + sum(points_of(value) for value in data.values())
    return sum(points_of(value) for value in data) if isinstance(data, list) else 0.0


def _type_of(value: Any, info: GraphQLResolveInfo, _: Any) -> str:
    return str(value["id"]).split("/")[3]


def _field(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    if isinstance(source, _Root):
        return getattr(source, info.field_name)(**arguments)
    value = source.get(info.field_name)
    if info.field_name in ("lineItems", "variants"):
        return _inner(value["nodes"], info, **arguments)
    if info.field_name == "fulfillments":
        return value[: arguments.get("first")]
    return value


def _inner(nodes: list[Record], info: GraphQLResolveInfo, **arguments: Any) -> dict[str, Any]:
    if info.root_value.in_bulk:
        return _connection(nodes, None)
    entries = [{"id": number, "place": number, "node": node} for number, node in enumerate(nodes)]
    found, cursor = page(entries, "place", arguments.get("first"), arguments.get("after"))
    return _connection([entry["node"] for entry in found], cursor)


def _connection(nodes: list[Record], cursor: str | None) -> dict[str, Any]:
    return {
        "nodes": nodes,
        "edges": [{"cursor": "", "node": node} for node in nodes],
        "pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor},
    }


class _Root:
    """The queries and the mutation, by name."""

    def __init__(self, world: ShopifyWorld, *, in_bulk: bool = False) -> None:
        self._world = world
        self.in_bulk = in_bulk

    def shop(self) -> dict[str, Any]:
        return {"currencyCode": self._world.currency}

    def currentAppInstallation(self) -> dict[str, Any]:  # the peer's name
        return {"accessScopes": [{"handle": scope} for scope in sorted(self._world.scopes)]}

    def node(self, id: str) -> Record | None:
        bulk = self._world.bulks.get(id)
        return None if bulk is None else self._state(bulk)

    def order(self, id: str) -> Record | None:
        return self._one("orders", id)

    def product(self, id: str) -> Record | None:
        return self._one("products", id)

    def orders(self, **arguments: Any) -> dict[str, Any]:
        return self._list("orders", **arguments)

    def products(self, **arguments: Any) -> dict[str, Any]:
        return self._list("products", **arguments)

    def bulkOperationRunQuery(self, query: str) -> dict[str, Any]:  # the peer's name
        refusal = "A bulk query operation for this app and shop is already in progress"
        running = sum(bulk.status == "RUNNING" for bulk in self._world.bulks.values())
        if self._world.bulk_outcome == "BUSY" or running >= self._world.bulk_places:
            return {"bulkOperation": None, "userErrors": [{"field": None, "message": refusal}]}
        try:
            lines, roots = _exported(self._world, query)
        except Refused as refused:
            return {
                "bulkOperation": None,
                "userErrors": [{"field": ["query"], "message": one["message"]} for one in refused.errors],
            }
        gid = f"gid://shopify/BulkOperation/{len(self._world.bulks) + 1}"
        bulk = Bulk(gid, lines, roots, self._world.bulk_polls, self._world.bulk_outcome)
        self._world.bulks[gid] = bulk
        return {"bulkOperation": {"id": gid, "status": "CREATED"}, "userErrors": []}

    def bulkOperationCancel(self, id: str) -> dict[str, Any]:  # the peer's name
        bulk = self._world.bulks.get(id)
        refusal = None
        if bulk is None:
            refusal = "Bulk operation does not exist"
        elif not bulk.cancel():
            refusal = f"A bulk operation cannot be canceled when it is {bulk.status.lower()}"
        errors = [] if refusal is None else [{"field": ["id"], "message": refusal}]
        return {"bulkOperation": None if bulk is None else self._state(bulk), "userErrors": errors}

    def _state(self, bulk: Bulk) -> Record:
        bulk.polls -= 1
        over = bulk.status != "RUNNING"
        done = bulk.status == "COMPLETED"
        number = bulk.id.rpartition("/")[2]
        return {
            "id": bulk.id,
            "status": bulk.status,
            "errorCode": "INTERNAL_SERVER_ERROR" if bulk.status == "FAILED" else None,
            "objectCount": str(len(bulk.lines) if over else 0),
            "rootObjectCount": str(bulk.roots if over else 0),
            "url": f"{self._world.url}/bulk/{number}.jsonl?signature=demo" if done and bulk.lines else None,
        }

    def _one(self, kind: str, gid: str) -> Record | None:
        self._check_scope(kind)
        return self._world.records[kind].get(int(gid.rpartition("/")[2]))

    def _list(
        self,
        kind: str,
        *,
        sortKey: str = "ID",
        query: str | None = None,
        **paging: Any,
    ) -> dict[str, Any]:
        self._check_scope(kind)
        matches = matcher(query)
        entries = [entry for entry in self._world.entries(kind) if matches(entry)]
        records = self._world.records[kind]
        if self.in_bulk:
            return _connection([records[entry["id"]] for entry in entries], None)
        found, cursor = page(entries, sortKey.lower(), paging.get("first"), paging.get("after"))
        return _connection([records[entry["id"]] for entry in found], cursor)

    def _check_scope(self, kind: str) -> None:
        if f"read_{kind}" not in self._world.scopes:
            raise GraphQLError(
                f"Access denied for {kind} field. Required access: `read_{kind}` access scope.",
                extensions={"code": "ACCESS_DENIED"},
            )


def _exported(world: ShopifyWorld, query: str) -> tuple[list[str], int]:
    """Return the lines of the file for a query, and how many have no parent."""
    document = checked(query)
    asked = [node for node in operation_of(document).selection_set.selections if isinstance(node, FieldNode)]
    kind = asked[0].name.value
    if len(asked) != 1 or kind not in _INNER or "nodes" in query:
        raise Refused({"message": "Bulk queries must contain exactly one connection, with edges and node"})
    result = execute_sync(schema(), document, _Root(world, in_bulk=True), type_resolver=_type_of, field_resolver=_field)
    if result.errors or result.data is None:
        raise Refused(*({"message": error.message} for error in result.errors or ()))
    roots: list[Record] = [edge["node"] for edge in result.data[kind]["edges"]]
    children: list[Record] = []
    for root in roots:
        inside = root.pop(_INNER[kind], {"edges": []})
        children += [{**edge["node"], "__parentId": root["id"]} for edge in inside["edges"]]
    # Nothing is promised of the order of lines: here the last record comes first, and the lists inside at the end.
    return [json.dumps(line) for line in [*reversed(roots), *children]], len(roots)
