"""Service deployments of BOSH Directors, kept as instance records in Vault."""
