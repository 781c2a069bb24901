"""PyTorch's answers to overlapping writes: ``python -m tests.golden.overlaps`` asks it anew.

For each call of ``tests/ops/overlaps.py`` whether it is refused, and why.
"""

import gzip
import json
from pathlib import Path

FILE = Path(__file__).with_name("overlaps.json.gz")


def load():
    """The recorded outcomes by the call's key."""
    return json.loads(gzip.decompress(FILE.read_bytes()))


def ask(torch):
    """The outcomes under the framework ``torch``."""
    from tests.ops.overlaps import calls, outcomes

    found = {key: outcomes(torch, *call) for key, *call in calls(torch)}
    return {key: value for key, value in found.items() if value}


def record():
    """Ask PyTorch and write the file."""
    import torch

    text = json.dumps(ask(torch), separators=(",", ":")).encode()
    FILE.write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    record()
