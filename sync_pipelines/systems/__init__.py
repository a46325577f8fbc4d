"""One thin typed async client per external system, over one shared HTTP transport."""
