"""``vmap`` of every operation's samples equals the loop over them."""

import re
import warnings

import numpy as np
import pytest

import rushlight as torch
from tests.conformance import array, flat
from tests.samples import SAMPLES

#: Samples whose result has a shape that depends on values, or that need values to run; and one that
#: looks at the memory behind its input, whose order the batch has not.
REFUSED = re.compile(
    r"unique|bincount|repeat_interleave$|index-2$|getitem_mask|masked_select|nonzero|resize_as_"
    r"|(lstm|gru|rnn_tanh|rnn_relu)-3$|as_strided_copy-2$|isin|histogram|mode"
)


def batch_of(sample):
    """Three samples like ``sample``, each a list of tensors."""
    scaled = lambda a, k: np.asarray(a * (1, 0.9, 1.05)[k], a.dtype) if a.dtype.kind in "fc" else a
    return [[torch.from_numpy(np.array(scaled(a, k))) for a in sample.inputs] for k in range(3)]


def check(sample):
    batch = batch_of(sample)
    want = [flat(sample.call(torch, *tensors)) for tensors in batch]
    if not all(isinstance(t, torch.Tensor) for w in want for t in w):
        return
    whole = [torch.stack(list(tensors)) for tensors in zip(*batch, strict=True)]
    found = flat(torch.vmap(lambda *xs: sample.call(torch, *xs))(*whole))
    for got, parts in zip(found, zip(*want, strict=True), strict=True):
        expected = torch.stack(list(parts))
        assert got.dtype == expected.dtype, sample.name
        near = 2e-3 if got.dtype.itemsize == 2 else 1e-4
        np.testing.assert_allclose(array(got), array(expected), near, near, err_msg=sample.name)


def chosen(first):
    """The first sample of each operation, or all others."""
    seen, found = set(), []
    for s in SAMPLES.values():
        name = re.sub(r"-\d+$", "", s.name)
        if s.inputs and not s.draws and not REFUSED.match(s.name) and (name not in seen) == first:
            found.append(s)
        seen.add(name)
    return found


def run(samples):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # operations without a rule say so
        for s in samples:
            check(s)


@pytest.mark.parametrize("letters", ["abcdefg", "hijklm", "nopqr", "stuvwxyz_"])
def test_one_sample_of_each_operation(letters):
    run([s for s in chosen(first=True) if s.name[0].lower() in letters])


@pytest.mark.slow
@pytest.mark.parametrize("letters", ["abc", "defg", "hijkl", "mno", "pqr", "stuvwxyz_"])
def test_all_samples(letters):
    run([s for s in chosen(first=False) if s.name[0].lower() in letters])


def test_operations_without_a_rule_say_so_once():
    x = torch.rand(2, 3) + 1
    with pytest.warns(UserWarning, match="performance drop"):
        torch.func.batching._tell.cache_clear()
        torch.vmap(torch.nanmedian)(x)


def test_writes_to_an_argument_change_the_batch():
    x = torch.zeros(2, 3)
    y = torch.vmap(lambda a: a.add_(1))(x)
    assert torch.equal(x, torch.ones(2, 3)) and torch.equal(y, x)


def test_a_detached_tensor_is_not_written_in_silence():
    with pytest.raises(RuntimeError, match="detach"):
        torch.vmap(lambda a: a.detach().add_(1) + a)(torch.zeros(2, 3))


def test_a_compiled_vmap_is_one_program():
    f = torch.vmap(torch.func.grad(lambda a, w: (a @ w).sin().sum()), (0, None))
    x, w = torch.randn(5, 3), torch.randn(3, 4)
    assert torch.allclose(torch.compile(f, fullgraph=True)(x, w), f(x, w), atol=1e-6)
