"""PyTorch's answers to every sample, recorded: ``python -m tests.golden.conformance`` makes them anew.

One compressed file holds, for each sample, its outputs (dtype and values) and its gradients.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("conformance.npz")


class Golden:
    """The recorded answers by sample name."""

    def __init__(self, arrays):
        self.arrays = arrays

    def _listed(self, key):
        found = []
        while f"{key}/{len(found)}" in self.arrays:
            found.append(self.arrays[f"{key}/{len(found)}"])
        return found

    def outputs(self, name):
        """(dtype name, array) of each output tensor."""
        dtypes = self.arrays.get(f"{name}/dtypes")
        if dtypes is None:
            raise KeyError(
                f"{name} has no recorded answer; run python -m tests.golden.conformance with PyTorch"
            )
        return list(zip(dtypes.tolist(), self._listed(f"{name}/out"), strict=True))

    def gradients(self, name):
        """The gradient of each input, None where it has none."""
        return [None if a.dtype.kind == "U" else a for a in self._listed(f"{name}/grad")]


def load():
    """The recorded answers."""
    with np.load(FILE) as file:
        return Golden(dict(file))


def record():
    """Ask PyTorch and write the file."""
    import torch

    from tests import conformance as c
    from tests.samples import SAMPLES

    arrays = {}
    for name, s in SAMPLES.items():
        outs = [o for o in c.run(torch, s) if isinstance(o, torch.Tensor)]
        arrays[f"{name}/dtypes"] = np.array([str(o.dtype) for o in outs])
        for k, o in enumerate(outs):
            arrays[f"{name}/out/{k}"] = c.array(o)
        if s.grad:
            for k, g in enumerate(c.gradients(torch, s)):
                arrays[f"{name}/grad/{k}"] = np.array("none") if g is None else c.array(g)
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    record()
