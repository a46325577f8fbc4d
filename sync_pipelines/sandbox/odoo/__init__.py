"""Strict stand-in of Odoo 19 (JSON-2, JSON-RPC, XML-RPC), as a server with sales and inventory was recorded to behave.

XML-RPC goes as far as it was recorded: ``version``, ``authenticate`` and ``execute_kw`` with their faults.
"""

from sync_pipelines.sandbox.odoo.access import User
from sync_pipelines.sandbox.odoo.errors import OdooError
from sync_pipelines.sandbox.odoo.faults import broken_page, lost_reply, too_many_requests
from sync_pipelines.sandbox.odoo.seeds import (
    ADMIN_KEY,
    LOW_KEY,
    SYNC_KEY,
    SYNC_LOGIN,
    SYNC_PASSWORD,
    demo_world,
    fresh_world,
    many,
)
from sync_pipelines.sandbox.odoo.slow import Held, SlowWrite
from sync_pipelines.sandbox.odoo.standin import OdooStandIn
from sync_pipelines.sandbox.odoo.world import OdooWorld

__all__ = [
    "ADMIN_KEY",
    "LOW_KEY",
    "SYNC_KEY",
    "SYNC_LOGIN",
    "SYNC_PASSWORD",
    "Held",
    "OdooError",
    "OdooStandIn",
    "OdooWorld",
    "SlowWrite",
    "User",
    "broken_page",
    "demo_world",
    "fresh_world",
    "lost_reply",
    "many",
    "too_many_requests",
]
