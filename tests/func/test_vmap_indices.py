"""Under vmap, an index out of range is the error that it is for one sample."""

import pytest

import rushlight as torch

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")
X, SOURCE = torch.arange(8.0).reshape(2, 4), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
CALLS = {
    "index": lambda x, i, s: x[i],
    "take": lambda x, i, s: x.take(i),
    "gather": lambda x, i, s: x.gather(0, i),
    "index_select": lambda x, i, s: x.index_select(0, i),
    # Takes any index, and counts around the dim.
    "take_along_dim": lambda x, i, s: x.take_along_dim(i, 0),
    "index_put": lambda x, i, s: x.index_put((i,), s),
    "index_put added": lambda x, i, s: x.index_put((i,), s, accumulate=True),
    "put": lambda x, i, s: x.put(i, s),
    "index_add": lambda x, i, s: x.index_add(0, i, s),
    "index_copy": lambda x, i, s: x.index_copy(0, i, s),
    "index_fill": lambda x, i, s: x.index_fill(0, i, 3.0),
    "index_reduce": lambda x, i, s: x.index_reduce(0, i, s, "amax"),
    "scatter": lambda x, i, s: x.scatter(0, i, s),
    "scatter number": lambda x, i, s: x.scatter(0, i, 7.0),
    "scatter_add": lambda x, i, s: x.scatter_add(0, i, s),
    "scatter_reduce": lambda x, i, s: x.scatter_reduce(0, i, s, "amax"),
    "embedding": lambda x, i, s: torch.nn.functional.embedding(i, x.reshape(4, 1)),
    "nll_loss": lambda x, i, s: torch.nn.functional.nll_loss(x.expand(2, 4), i),
    "cross_entropy": lambda x, i, s: torch.nn.functional.cross_entropy(x.expand(2, 4), i),
}
#: Which of (x, index, source) are batched.
BATCHED = [(0, None, None), (None, 0, None), (None, None, 0), (0, 0, None), (0, 0, 0)]


def outcome(call):
    """The result as lists; or the error, as whether it is an IndexError or a RuntimeError."""
    try:
        return call().tolist()
    except (IndexError, RuntimeError) as error:
        return isinstance(error, IndexError), isinstance(error, RuntimeError)


@pytest.mark.parametrize("wrong", [1, 4, 9, -1, -4, -5])
@pytest.mark.parametrize("name", CALLS)
def test_an_index_out_of_range_is_an_error(name, wrong):
    call, index = CALLS[name], torch.tensor([[0, 3], [wrong, 2]])
    for dims in BATCHED:
        given = [v if d == 0 else v[1] for v, d in zip((X, index, SOURCE), dims, strict=True)]
        samples = [
            [v[k] if d == 0 else v for v, d in zip(given, dims, strict=True)] for k in range(2)
        ]
        want = outcome(lambda rows=samples: torch.stack([call(*row) for row in rows]))
        found = outcome(lambda g=given, d=dims: torch.vmap(call, in_dims=d)(*g))
        assert found == want, dims


@pytest.mark.parametrize("name", [name for name in CALLS if name != "take_along_dim"])
def test_so_it_is_in_a_batch_of_batches_and_compiled(name):
    call, index = CALLS[name], torch.tensor([[[0, 3], [9, 2]]])
    given, twice = (X[None], index, SOURCE[None]), torch.vmap(torch.vmap(call))
    for run in (twice, torch.compile(twice)):
        with pytest.raises((IndexError, RuntimeError), match="9"):
            run(*given)
