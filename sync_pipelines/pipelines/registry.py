"""Which pipelines there are: the sections that the connections file may have."""

SECTIONS = ("offerings", "deployments", "ledger", "commerce", "marketplaces")
