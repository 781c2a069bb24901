"""PyTorch's losses for tests/test_same_losses.py: ``python -m tests.golden.losses`` records them."""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("losses.npz")


def load():
    """The recorded losses by "model/optimizer"."""
    with np.load(FILE) as file:
        return dict(file)


def record():
    """Ask PyTorch and write the file."""
    import torch

    from tests.test_same_losses import CASES, losses

    np.savez_compressed(FILE, **{f"{m}/{o}": losses(torch, m, o) for m, o in CASES})


if __name__ == "__main__":
    record()
