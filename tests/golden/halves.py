"""PyTorch's errors in half precision, recorded: ``python -m tests.golden.halves`` makes them anew."""

import json
from pathlib import Path

FILE = Path(__file__).with_name("halves.json")


def load():
    """The recorded errors by dtype and case."""
    return json.loads(FILE.read_text())


def record():
    """Ask PyTorch and write the file."""
    import torch

    from tests.ops.halves import CASES, DTYPES, errors

    found = {half: {name: errors(torch, name, half) for name in CASES} for half in DTYPES}
    lines = [
        f'"{half}": {{\n' + ",\n".join([f'"{k}": {v}' for k, v in by_name.items()]) + "\n}"
        for half, by_name in found.items()
    ]
    FILE.write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    record()
