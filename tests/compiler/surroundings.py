"""A file whose globals and classes a compiled function in another file reads."""

SCALE = 2.0


class Table:
    rate = 1.0


def scaled(x):
    return x * SCALE


def change(value):
    """Set ``SCALE``."""
    global SCALE
    SCALE = value
    Table.rate = 1.0
