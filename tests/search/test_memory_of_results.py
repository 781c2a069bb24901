"""What memory a result has: its input's where PyTorch gives a view, else memory of its own.

A result may be written wherever PyTorch's may.
"""

from collections import Counter

import numpy as np
import pytest

import rushlight
from tests.samples import SAMPLES
from tests.search.calls import calls, flat, run


def _shared(torch, x, y):
    """Whether two tensors of either framework share memory."""
    if torch is rushlight:
        return np.may_share_memory(x.array, y.array)
    if not x.numel() or not y.numel():
        return False
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def _writable(t):
    """Whether ``t`` may be written in place."""
    try:
        t.zero_()
    except RuntimeError:
        return False
    return True


def _described(torch, given, found):
    """For each result, the inputs and results whose memory it has, and whether it may be written."""
    others = [*given, *found]
    shared = [[_shared(torch, t, o) for o in others if t.numel() and o.numel()] for t in found]
    return shared, [_writable(t) for t in found]


def _differs(ours, theirs, inputs, peers):
    got, want = ours(), theirs()
    if len(got) != len(want) or any(a.shape != b.shape for a, b in zip(got, want, strict=True)):
        return None
    got, want = _described(rushlight, inputs, got), _described(peer_of(peers), peers, want)
    return None if got == want else (got, want)
