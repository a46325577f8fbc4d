"""One thin typed async client per external system, over one shared HTTP transport."""

import logging

# The libraries write addresses into their logs at INFO and headers at DEBUG. Hosted nodes carry a key in their address,
# and a peer may repeat a credential in a header.
for _name, _level in (("httpx", logging.WARNING), ("httpcore", logging.INFO), ("websockets", logging.INFO)):
    logging.getLogger(_name).setLevel(_level)
