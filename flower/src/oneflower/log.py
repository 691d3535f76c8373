"""The log that Flower's processes write, so that our lines look and go like Flower's own."""

import logging

logger = logging.getLogger("flwr.oneflower")
