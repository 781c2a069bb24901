"""Call every operation with numbers at the ends of their dtypes: ``python -m tests.search.extremes``.

A call may raise, but it must leave the heap whole. NumPy's ``bincount``, for example, counts the
largest int64 in memory that is too short. The C library reports damage when memory is freed, if the
environment asks for it (``GLIBC_TUNABLES=glibc.malloc.check=3``, with its debugging library loaded).
"""

import argparse
import warnings

import numpy as np

import rushlight as torch
from tests.samples import SAMPLES

ENDLESS = ("von_mises",)  # draw until a number fits, which nan never does


def extreme(a, rng):
    """Numbers of the dtype of ``a``, of which many lie at its ends."""
    if a.dtype.kind in "iu":
        info = np.iinfo(a.dtype)
        ends = [info.max, info.max - 1, info.min, 0, 1, 2] + [-1] * (info.min < 0)
        two = rng.choice(np.array(ends, a.dtype), 2)  # many calls refuse some of these numbers
        return rng.choice(two, a.shape)
    if a.dtype.kind in "fc":
        return rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 1e30, -1e30, 0.5], a.shape)
    return rng.random(a.shape) < 0.5 if a.dtype == bool else a


def run(seed, share):
    """Call a ``share`` of all samples."""
    rng = np.random.default_rng(seed)
    warnings.simplefilter("ignore")
    for key, sample in SAMPLES.items():
        if rng.random() > share or key.startswith(ENDLESS):
            continue
        found = []  # NumPy keeps the memory of seven small arrays; more are freed at the end
        for _ in range(24):
            arrays = [a.copy(order="K") for a in sample.inputs]
            for a in arrays:
                if rng.random() < 0.7:
                    a[...] = extreme(a, rng)
            try:
                found.append(sample.call(torch, *[torch.from_numpy(a) for a in arrays]))
            except Exception:  # what it raises is the business of other tests
                continue


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    run(given.seed, given.share)
