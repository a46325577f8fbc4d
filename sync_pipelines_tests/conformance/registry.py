"""The pipelines that the kit is run for. A new one takes two lines: its import, and its place in the list.

Ledger and marketplaces only read; ``docs/conformance.md`` tells where the same promises are shown for them.
"""

from sync_pipelines_tests.conformance.memory import MEMORY
from sync_pipelines_tests.pipelines.commerce.subject import INTO_ODOO, INTO_SHOP
from sync_pipelines_tests.pipelines.deployments.subject import DEPLOYMENTS
from sync_pipelines_tests.pipelines.offerings.subject import OFFERINGS

REGISTERED = (OFFERINGS, DEPLOYMENTS, INTO_ODOO, INTO_SHOP)

CONFORMING = (*REGISTERED, MEMORY)
"""With a pair in memory, which shows that the kit asks for nothing but the ports."""
