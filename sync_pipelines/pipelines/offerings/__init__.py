"""VirtEngine marketplace offerings kept in agreement with a Waldur marketplace."""
