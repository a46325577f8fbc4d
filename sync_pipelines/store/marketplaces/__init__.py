"""Tables of the marketplaces pipeline."""
