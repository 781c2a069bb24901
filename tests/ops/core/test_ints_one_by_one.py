"""Lists of ints whose elements are given one by one: ``x.tile(2, 3)``, against every name of PyTorch."""

import pytest

import rushlight
from tests.search.calls import _LEFT_OUT

torch = pytest.importorskip("torch")

SIZES = [(2, 3), (1, 2, 1), (4, 2, 2), ()]
LISTS = [(0, 1), (1, 0), (1, 2), (-1, -2), (0, 0), (0, 1, 2), (1, 1, 2, 3), (4, -1), (0,), (2,), ()]
#: What cannot be compared by values, or takes lists for another reason.
OTHERS = {
    "sparse_resize_", "sparse_resize_and_clear_", "sparse_coo_tensor", "svd_lowrank", "pca_lowrank",
    "randn_like", "broadcast_shapes", "normal_", "to_sparse_bsr", "to_sparse_bsc", "to", "split",
}  # fmt: skip


def names(owner, ours):
    left_out = _LEFT_OUT | OTHERS
    for name in sorted(dir(owner)):
        call = getattr(owner, name, None)
        is_open = not name.startswith("_") and name not in left_out and hasattr(ours, name)
        if is_open and callable(call) and not isinstance(call, type):
            yield name


def outcome(t, name, size, ints, method):
    """What a call gives: its numbers, or None if it raises."""
    x = t.arange(1, 1 + int(torch.Size(size).numel()), dtype=t.float64).reshape(size)
    try:
        found = getattr(x, name)(*ints) if method else getattr(t, name)(x, *ints)
    except Exception:
        return None
    return plain(t, found)


def plain(t, found):
    if isinstance(found, (tuple, list)):
        return [plain(t, part) for part in found]
    if isinstance(found, t.Tensor):
        return [list(found.shape), found.tolist()]
    return found if isinstance(found, (int, float, complex)) else str(found)


def takes_lists(name, method):
    """Whether PyTorch takes a list of ints after the tensor."""
    return any(outcome(torch, name, s, (i,), method) is not None for s in SIZES for i in LISTS)


def near(a, b):
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(near, a, b))
    return a == b or (isinstance(a, float) and a == pytest.approx(b, nan_ok=True))


@pytest.mark.parametrize("method", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_a_list_is_taken_one_by_one_where_pytorch_takes_it(method):
    owners = (torch.Tensor, rushlight.Tensor) if method else (torch, rushlight)
    tried, wrong = [], []
    for name in names(*owners):
        if not takes_lists(name, method):
            continue
        tried.append(name)
        for size in SIZES:
            for ints in LISTS:
                theirs = outcome(torch, name, size, ints, method)
                ours = outcome(rushlight, name, size, ints, method)
                if not near(ours, theirs):
                    wrong.append((name, size, ints, ours, theirs))
    assert len(tried) > 20 and not wrong, wrong


def test_what_a_handler_is_given():
    """A handler sees the method, and the ints as they are given."""

    class Mode(rushlight.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((func, args[1:]))
            return func(*args, **(kwargs or {}))

    seen, x = [], rushlight.ones(1, 1, 2)
    with Mode():
        assert x.squeeze(0, 1).shape == (2,)
    assert seen[0] == (rushlight.Tensor.squeeze, (0, 1))


def test_by_name_there_is_only_the_list():
    x = rushlight.ones(1, 1, 2)
    assert x.squeeze(dim=(0, 1)).shape == (2,) == x.squeeze(axis=[0, 1]).shape
    with pytest.raises(TypeError, match="squeeze"):
        x.squeeze(0, 1, dim=1)
    for call in (
        lambda: x.flip(dims=0),
        lambda: x.new_ones(size=2),
        lambda: rushlight.ones(size=2),
    ):
        with pytest.raises(TypeError, match="must be tuple of ints, not int"):
            call()
