"""Places that a program computes are checked before anything is read or written there.

With ``RUSHLIGHT_CHECK=bounds``, as CI sets it for these tests, a kernel that comes too early is told
from one that reads what is there.
"""

import warnings
from functools import partial

import numpy as np
import pytest

import rushlight as torch
from tests.conformance import array, flat
from tests.daily import daily
from tests.samples import SAMPLES


def takes_integers(sample):
    return any(a.dtype == np.int64 for a in sample.inputs) and not sample.draws


CHOSEN = [name for name, s in SAMPLES.items() if takes_integers(s)]


def outcome(call, *args):
    try:
        return [array(t) for t in flat(call(*args)) if isinstance(t, torch.Tensor)]
    except Exception as error:
        return error


def moved(sample, shift, tensors):
    """What ``sample`` computes of ``tensors`` with ``shift`` added to the integers."""
    return sample.call(torch, *[t + shift if t.dtype is torch.int64 else t for t in tensors])


def slopes(sample, shift, tensors):
    """The gradients alone: a program does not compute the results then."""
    found = [o for o in flat(moved(sample, shift, tensors)) if isinstance(o, torch.Tensor)]
    outs = [o for o in found if o.requires_grad]
    wanted = [t for t in tensors if t.requires_grad]
    seeds = [torch.ones_like(o) for o in outs]
    found = torch.autograd.grad(outs, wanted, seeds, allow_unused=True)
    return [g for g in found if g is not None]


@pytest.mark.parametrize("work", [moved, slopes])
@pytest.mark.parametrize("part", daily(range(24), 2, "places"))
def test_places_out_of_range(work, part):
    """A sample whose integers are moved inside of the program, until nothing is there."""
    for name in CHOSEN[part::24]:
        sample = SAMPLES[name]
        if work is slopes and not sample.grad:
            continue
        tensors = [torch.tensor(a) for a in sample.inputs]
        for t in tensors:
            t.requires_grad_(work is slopes and t.is_floating_point())
        call = partial(work, sample)
        compiled = torch.compile(lambda shift, *tensors, call=call: call(shift, tensors))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for shift in (0, 1000, -1000, 1, -3):
                by = torch.tensor(shift)
                want, got = outcome(call, by, tensors), outcome(compiled, by, *tensors)
                if isinstance(want, Exception) or isinstance(got, Exception):
                    assert type(got) is type(want), (name, shift, want, got)
                    assert str(got) == str(want), (name, shift)
                else:
                    for g, w in zip(got, want, strict=True):
                        np.testing.assert_allclose(g, w, 1e-3, 1e-3, err_msg=f"{name} {shift}")
