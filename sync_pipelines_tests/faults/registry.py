"""The pipelines that the table is made for. A new one takes two lines: its import, and its place in the list."""

from sync_pipelines_tests.pipelines.commerce.fault_cases import INTO_ODOO_FAULTS, INTO_SHOP_FAULTS
from sync_pipelines_tests.pipelines.commerce.subject import INTO_ODOO, INTO_SHOP
from sync_pipelines_tests.pipelines.deployments.fault_cases import DEPLOYMENTS_FAULTS
from sync_pipelines_tests.pipelines.deployments.subject import DEPLOYMENTS
from sync_pipelines_tests.pipelines.offerings.fault_cases import OFFERINGS_FAULTS
from sync_pipelines_tests.pipelines.offerings.subject import OFFERINGS

FAULTY = (
    (OFFERINGS, OFFERINGS_FAULTS),
    (DEPLOYMENTS, DEPLOYMENTS_FAULTS),
    (INTO_ODOO, INTO_ODOO_FAULTS),
    (INTO_SHOP, INTO_SHOP_FAULTS),
)
