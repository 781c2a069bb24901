"""Bags of embeddings with infinite and nan entries: PyTorch's values and gradients."""

import numpy as np
import pytest

import rushlight

_ODD = [np.inf, -np.inf, np.nan, 0.0, -0.0]


def spiced(rng, shape, share):
    x = rng.standard_normal(shape).astype(np.float32)
    odd = rng.random(shape) < share
    x[odd] = rng.choice(_ODD, odd.sum())
    return x


def arguments(rng, mode):
    """(table, indices, options) of a random call; arrays in the place of tensors."""
    padding = None if rng.random() < 0.4 else int(rng.integers(0, 5))
    options = {"mode": mode, "padding_idx": padding}
    if rng.random() < 0.3:
        index = rng.integers(0, 5, (4, 3))
    else:
        n = int(rng.integers(0, 9))
        index, offsets = rng.integers(0, 5, n), np.sort(rng.integers(0, n + 1, 4))
        offsets[0] = 0
        options |= {"offsets": offsets, "include_last_offset": bool(rng.random() < 0.3)}
        if options["include_last_offset"]:
            offsets[-1] = n
    if mode == "sum" and rng.random() < 0.6:
        options["per_sample_weights"] = spiced(rng, index.shape, 0.3)
    return spiced(rng, (5, 3), 0.25), index, options


def results(torch, table, index, options, g):
    table = torch.tensor(table, requires_grad=True)
    given = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    leaves = [table]
    if "per_sample_weights" in given:
        leaves.append(given["per_sample_weights"].requires_grad_())
    out = torch.nn.functional.embedding_bag(torch.tensor(index), table, **given)
    out.backward(torch.tensor(g[: len(out)]))
    return [out.detach().numpy(), *[x.grad.numpy() for x in leaves]]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_infinite_and_nan_entries_count_as_in_pytorch(mode):
    peer = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for _ in range(300):
        call = (*arguments(rng, mode), spiced(rng, (4, 3), 0.2))
        for found, wanted in zip(results(rushlight, *call), results(peer, *call), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=repr(call))


def test_padding_of_infinities_counts_nothing():
    table = rushlight.tensor([[-np.inf, np.inf], [1.0, 2.0], [-np.inf, np.nan]])
    bag = rushlight.nn.functional.embedding_bag
    for mode in ("sum", "mean", "max"):
        index = rushlight.tensor([[0, 1], [0, 0]])
        assert bag(index, table, mode=mode, padding_idx=0).tolist() == [[1, 2], [0, 0]]
    index = rushlight.tensor([[1, 2]])
    assert bag(index, table, mode="max", padding_idx=1)[0, 0] == -np.inf


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("padding_idx", [None, 3])
@pytest.mark.parametrize("last", [False, True])
def test_sums_in_one_pass_are_those_that_record_a_gradient(mode, padding_idx, last):
    rng = np.random.default_rng(7)
    table = rng.normal(size=(20, 9))
    table[3, 2] = np.inf
    index = rushlight.from_numpy(rng.integers(0, 20, 400))
    offsets = rushlight.tensor([0, 5, 5, 180, 399])
    options = {"mode": mode, "padding_idx": padding_idx, "include_last_offset": last}
    if mode == "sum":
        options["per_sample_weights"] = rushlight.from_numpy(rng.normal(size=400))
    found = [
        rushlight.nn.functional.embedding_bag(index, weight, offsets, **options)
        for weight in (rushlight.tensor(table), rushlight.tensor(table, requires_grad=True))
    ]
    assert found[0].grad_fn is None and found[1].grad_fn is not None
    np.testing.assert_array_equal(found[0].numpy(), found[1].detach().numpy())


def test_the_first_of_equal_maxima_gets_the_gradient():
    table = rushlight.tensor([[1.0, 4.0], [3.0, 4.0], [3.0, 2.0]], requires_grad=True)
    index = rushlight.tensor([0, 1, 2, 2, 1, 0])
    found = rushlight.nn.functional.embedding_bag(
        index, table, rushlight.tensor([0, 3]), mode="max"
    )
    (found * rushlight.tensor([1.0, 10.0])).sum().backward()
    assert table.grad.tolist() == [[0, 10], [1, 10], [1, 0]]
