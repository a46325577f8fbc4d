"""One package per pair of systems."""
