"""Places that a program computes are checked before anything is read or written there.

With ``RUSHLIGHT_CHECK=bounds``, as CI sets it for these tests, a kernel that comes too early is told
from one that reads what is there.
"""

import warnings

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


@pytest.mark.parametrize("part", daily(range(24), 2, "places"))
def test_places_out_of_range(part):
    """A sample whose integers are moved inside of the program, so far that nothing is there."""
    for name in CHOSEN[part::24]:
        sample = SAMPLES[name]
        tensors = [torch.tensor(a) for a in sample.inputs]

        def call(shift, *tensors, sample=sample):
            return sample.call(
                torch, *[t + shift if t.dtype is torch.int64 else t for t in tensors]
            )

        compiled = torch.compile(call)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for shift in (0, 1000, -1000):
                moved = torch.tensor(shift)
                want, got = outcome(call, moved, *tensors), outcome(compiled, moved, *tensors)
                if isinstance(want, Exception) or isinstance(got, Exception):
                    assert type(got) is type(want), (name, shift, want, got)
                    assert str(got) == str(want), (name, shift)
                else:
                    for g, w in zip(got, want, strict=True):
                        np.testing.assert_allclose(g, w, 1e-4, 1e-4, err_msg=f"{name} {shift}")
