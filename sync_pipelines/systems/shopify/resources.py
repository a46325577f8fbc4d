"""The lists that are read, and the fields of their records. No field tells of a customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ListField = Literal["updated_at", "created_at", "id"]

_MONEY = "{ shopMoney { amount currencyCode } }"
_BOTH_MONEY = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
# Without codes' discounts the lines would not add up to the subtotal.
_LINE = f"""id title sku quantity currentQuantity
originalUnitPriceSet {_MONEY}
discountedTotalSet(withCodeDiscounts: true) {_MONEY}
product {{ id }}
variant {{ id }}"""
_ORDER = f"""id name createdAt processedAt updatedAt closedAt cancelledAt cancelReason test
displayFinancialStatus displayFulfillmentStatus returnStatus
currencyCode presentmentCurrencyCode taxesIncluded
totalPriceSet {_BOTH_MONEY}
currentTotalPriceSet {_MONEY}
subtotalPriceSet {_MONEY}
totalRefundedSet {_MONEY}
fulfillments(first: 10) {{ displayStatus }}"""
_VARIANT = "id title sku price barcode inventoryQuantity updatedAt"
_PRODUCT = "id title handle status vendor productType createdAt updatedAt"


@dataclass(frozen=True, slots=True)
class Resource:
    """A list whose records have a list of their own inside.

    Attributes:
        name: of the list.
        one: of the field that gives one record by its id.
        fields: of a record.
        inner, inner_fields: the list inside, and the fields of its records.
        first: records asked for at once. A single query may cost 1000 points, which bounds both numbers together;
            of what is asked for too boldly, half is asked for then.
        inner_first: records of the list inside; the rest of a longer one is fetched for itself.
    """

    name: str
    one: str
    fields: str
    inner: str
    inner_fields: str
    first: int
    inner_first: int

    @property
    def _title(self) -> str:
        return self.name.capitalize()

    def page_query(self) -> str:
        """Return the query for a page."""
        return f"""query Sync{self._title}($first: Int!, $inner: Int!, $after: String, $query: String, $sort: {self._sort}!) {{
  {self.name}(first: $first, after: $after, query: $query, sortKey: $sort) {{
    nodes {{
      {self.fields}
      {self.inner}(first: $inner) {{ nodes {{ {self.inner_fields} }} pageInfo {{ hasNextPage endCursor }} }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""  # noqa: E501  # the query's own line

    def inner_query(self) -> str:
        """Return the query for a further page of a list inside."""
        title = self.inner[0].upper() + self.inner[1:]
        return f"""query Sync{title}($id: ID!, $first: Int!, $after: String) {{
  {self.one}(id: $id) {{
    {self.inner}(first: $first, after: $after) {{
      nodes {{ {self.inner_fields} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""

    def ids_query(self) -> str:
        """Return the query for a page of ids alone."""
        return f"""query Sync{self._title}Ids($first: Int!, $after: String, $query: String, $sort: {self._sort}!) {{
  {self.name}(first: $first, after: $after, query: $query, sortKey: $sort) {{
    nodes {{ id }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

    def bulk_query(self, search: str | None) -> str:
        """Return the query of a bulk operation, which takes no variables and knows no ``nodes``."""
        arguments = "" if search is None else f'(query: "{search}")'
        return f"""{{
  {self.name}{arguments} {{
    edges {{ node {{
      {self.fields}
      {self.inner} {{ edges {{ node {{ {self.inner_fields} }} }} }}
    }} }}
  }}
}}"""

    @property
    def _sort(self) -> str:
        return f"{self.one.capitalize()}SortKeys"


ORDERS = Resource("orders", "order", _ORDER, "lineItems", _LINE, first=10, inner_first=10)
PRODUCTS = Resource("products", "product", _PRODUCT, "variants", _VARIANT, first=25, inner_first=25)
