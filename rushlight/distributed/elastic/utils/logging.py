"""Loggers of the launcher."""

import logging
import os

__all__ = ["get_logger"]


def get_logger(name=None):
    """Return a logger with the level of the variable LOGLEVEL.

    Args:
        name: Its name.
    """
    found = logging.getLogger(name or __name__)
    found.setLevel(os.environ.get("LOGLEVEL", "WARNING"))
    return found
