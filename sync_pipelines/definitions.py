"""Everything that ``dagster dev`` loads: the definitions of all pipelines, merged."""

from __future__ import annotations

import logging

from dagster import Definitions, in_process_executor

from sync_pipelines.orchestration.resources import RunOptions, SyncStore
from sync_pipelines.pipelines.commerce.definitions import definitions as commerce
from sync_pipelines.pipelines.deployments.definitions import definitions as deployments
from sync_pipelines.pipelines.ledger.definitions import definitions as ledger
from sync_pipelines.pipelines.marketplaces.definitions import definitions as marketplaces
from sync_pipelines.pipelines.offerings.definitions import definitions as offerings

# httpx logs every URL with its query at INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)

defs = Definitions.merge(
    offerings(),
    deployments(),
    ledger(),
    commerce(),
    marketplaces(),
    # A process a step would cost ten times the work itself on a small machine.
    Definitions(resources={"store": SyncStore(), "options": RunOptions()}, executor=in_process_executor),
)
