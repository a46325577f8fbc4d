"""Amazon's Selling Partner API as far as pulling orders, refunds and listings goes. Nothing is written there."""

from sync_pipelines.systems.amazon.client import (
    LISTINGS_PAGED,
    TRANSACTION_DAYS,
    ListingPage,
    OrderPage,
    SellingPartner,
    TransactionPage,
    Window,
)
from sync_pipelines.systems.amazon.session import LIMITS, PEER, AmazonSession, amazon_session
from sync_pipelines.systems.amazon.tokens import TOKEN_URL, LoginKeys, LoginTokens

__all__ = [
    "LIMITS",
    "LISTINGS_PAGED",
    "PEER",
    "TOKEN_URL",
    "TRANSACTION_DAYS",
    "AmazonSession",
    "ListingPage",
    "LoginKeys",
    "LoginTokens",
    "OrderPage",
    "SellingPartner",
    "TransactionPage",
    "Window",
    "amazon_session",
]
