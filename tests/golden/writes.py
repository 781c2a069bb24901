"""PyTorch's gradients after writes, recorded: ``python -m tests.golden.writes`` makes it anew.

For each case of ``tests/ops/writes.py`` whether there are gradients.
"""

import gzip
import json
from pathlib import Path

FILE = Path(__file__).with_name("writes.json.gz")


def load():
    """The recorded outcomes by the case's key."""
    return json.loads(gzip.decompress(FILE.read_bytes()))


def record():
    """Ask PyTorch and write the file."""
    import torch

    from tests.ops.writes import cases, outcome

    found = {key: outcome(torch, *case) for key, *case in cases()}
    text = json.dumps(found, separators=(",", ":")).encode()
    FILE.write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    record()
