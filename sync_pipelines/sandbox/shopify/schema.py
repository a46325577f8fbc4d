"""The part of the Admin API's schema that the stand-in knows. Anything else in a query is refused."""

from __future__ import annotations

from functools import cache

from graphql import GraphQLSchema, build_schema

_CONNECTION = """
type {name}Connection {{ edges: [{name}Edge!]! nodes: [{name}!]! pageInfo: PageInfo! }}
type {name}Edge {{ cursor: String! node: {name}! }}
"""
_SCHEMA = """
scalar DateTime
scalar Decimal
scalar Money
scalar UnsignedInt64
scalar URL

interface Node { id: ID! }
enum OrderSortKeys { CREATED_AT ID UPDATED_AT }
enum ProductSortKeys { CREATED_AT ID UPDATED_AT }

type PageInfo { hasNextPage: Boolean! endCursor: String }
type MoneyV2 { amount: Decimal! currencyCode: String! }
type MoneyBag { shopMoney: MoneyV2! presentmentMoney: MoneyV2! }
type Shop { currencyCode: String! }
type AccessScope { handle: String! }
type AppInstallation { accessScopes: [AccessScope!]! }
type Fulfillment implements Node {
  id: ID! status: String displayStatus: String createdAt: DateTime updatedAt: DateTime
}
type Customer implements Node { id: ID! }

type Order implements Node {
  id: ID! legacyResourceId: UnsignedInt64! name: String! number: Int!
  createdAt: DateTime! processedAt: DateTime! updatedAt: DateTime! closedAt: DateTime closed: Boolean!
  cancelledAt: DateTime cancelReason: String currencyCode: String! presentmentCurrencyCode: String!
  subtotalPriceSet: MoneyBag totalShippingPriceSet: MoneyBag! totalTaxSet: MoneyBag taxesIncluded: Boolean!
  totalPriceSet: MoneyBag! currentTotalPriceSet: MoneyBag! totalRefundedSet: MoneyBag!
  displayFinancialStatus: String displayFulfillmentStatus: String! returnStatus: String!
  test: Boolean! confirmed: Boolean! sourceName: String tags: [String!]! email: String customer: Customer
  fulfillments(first: Int): [Fulfillment!]!
  lineItems(first: Int, after: String): LineItemConnection!
}
type LineItem implements Node {
  id: ID! title: String! name: String! sku: String quantity: Int! currentQuantity: Int!
  originalUnitPriceSet: MoneyBag! discountedTotalSet(withCodeDiscounts: Boolean = false): MoneyBag!
  product: Product variant: ProductVariant
}
type Product implements Node {
  id: ID! legacyResourceId: UnsignedInt64! title: String! handle: String! status: String! vendor: String!
  productType: String! createdAt: DateTime! updatedAt: DateTime! publishedAt: DateTime
  variants(first: Int, after: String): ProductVariantConnection!
}
type ProductVariant implements Node {
  id: ID! legacyResourceId: UnsignedInt64! title: String! sku: String price: Money! barcode: String
  inventoryQuantity: Int createdAt: DateTime! updatedAt: DateTime!
}
type BulkOperation implements Node {
  id: ID! status: String! errorCode: String objectCount: UnsignedInt64! rootObjectCount: UnsignedInt64! url: URL
}
type UserError { field: [String!] message: String! }
type BulkOperationCancelPayload { bulkOperation: BulkOperation userErrors: [UserError!]! }
type BulkOperationRunQueryPayload { bulkOperation: BulkOperation userErrors: [UserError!]! }

type Query {
  shop: Shop!
  currentAppInstallation: AppInstallation!
  node(id: ID!): Node
  order(id: ID!): Order
  product(id: ID!): Product
  orders(first: Int, after: String, query: String, sortKey: OrderSortKeys = ID): OrderConnection!
  products(first: Int, after: String, query: String, sortKey: ProductSortKeys = ID): ProductConnection!
}
type Mutation {
  bulkOperationRunQuery(query: String!): BulkOperationRunQueryPayload
  bulkOperationCancel(id: ID!): BulkOperationCancelPayload
}
"""


@cache
def schema() -> GraphQLSchema:
    """Return the schema."""
    connections = [_CONNECTION.format(name=name) for name in ("Order", "Product", "LineItem", "ProductVariant")]
    return build_schema(_SCHEMA + "".join(connections))
