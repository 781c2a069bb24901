"""How PyTorch's results lie in memory, recorded: ``python -m tests.golden.layouts`` makes it anew.

For each case of ``tests/ops/layouts.py`` the strides of the results.
"""

import gzip
import json
from pathlib import Path

FILE = Path(__file__).with_name("layouts.json.gz")


def load():
    """The recorded outcomes by the case's key."""
    return json.loads(gzip.decompress(FILE.read_bytes()))


def record():
    """Ask PyTorch and write the file."""
    import torch

    from tests.ops.layouts import cases, outcome

    found = {}
    for key, sample, layout, only in cases():
        what = outcome(torch, sample, layout, only)
        if what is not None:
            found[key] = what
    text = json.dumps(found, separators=(",", ":")).encode()
    FILE.write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    record()
