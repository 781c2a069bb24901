"""What memory a result has: its input's where PyTorch gives a view, else writable memory of its own."""

import random

import pytest

import rushlight
from tests.search.calls import calls, flat, run

#: PyTorch marks conj().
_OTHERWISE = {"adjoint", "conj"}


def _shared(x, y):
    """Whether two tensors of one framework share memory."""
    if not x.numel() or not y.numel() or not str(x.layout) == str(y.layout) == "torch.strided":
        return False
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def _sharing(x, found):
    """For each result: whether it has the memory of the input, and of each result."""
    return [(_shared(x, t), [_shared(t, u) for u in found]) for t in found]


def _tracked(x):
    """``x`` as the result of an operation that wants a gradient."""
    able = x.dtype.is_floating_point or x.dtype.is_complex
    return x.requires_grad_().clone() if able else x


def _fault(peer, where, name, given, rest, prepare):
    theirs, want = run(peer, where, name, given, rest, prepare)
    want = flat(want, peer.Tensor)
    if not want:
        return None
    ours, got = run(rushlight, where, name, given, rest, prepare)
    got = flat(got, rushlight.Tensor)
    if [tuple(t.shape) for t in got] != [tuple(t.shape) for t in want]:
        return None  # which other tests are about
    if _sharing(ours, got) != _sharing(theirs, want):
        return f"shares {_sharing(ours, got)}, PyTorch {_sharing(theirs, want)}"
    dense = [t for t in got if t.layout is rushlight.strided]
    if not all(t._array.flags.writeable for t in dense):
        return "may not be written"
    return None


def _faults(seed, share):
    peer = pytest.importorskip("torch")
    chance = random.Random(seed)
    found = []
    for label, where, name, given, rest in calls(rushlight, peer):
        if name in _OTHERWISE or chance.random() >= share:
            continue
        prepare = chance.choice([_tracked, lambda x: x])
        fault = _fault(peer, where, name, given, rest, prepare)
        if fault is not None:
            found.append(f"{label}: {fault}")
    return found


@pytest.mark.parity
def test_results_of_random_calls_have_the_memory_that_pytorch_gives_them():
    seed = random.randrange(1 << 32)
    faults = _faults(seed, 0.004)
    assert not faults, f"seed {seed}:\n" + "\n".join(faults)


@pytest.mark.slow
@pytest.mark.parity
def test_results_of_many_calls_have_the_memory_that_pytorch_gives_them():
    """A tenth of all calls: all of them take ten minutes."""
    seed = random.randrange(1 << 32)
    faults = _faults(seed, 0.1)
    assert not faults, f"seed {seed}:\n" + "\n".join(faults)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f.max_pool2d(x, 1), lambda f, x: f.max_pool2d(x, 1, return_indices=True)[0],
        lambda f, x: f.adaptive_max_pool2d(x, x.shape[2:]), lambda f, x: f.adaptive_avg_pool2d(x, x.shape[2:]),
        lambda f, x: f.avg_pool2d(x, 1), lambda f, x: f.pixel_shuffle(x, 1),
        lambda f, x: f.pixel_unshuffle(x, 1), lambda f, x: rushlight.channel_shuffle(x, 1),
        lambda f, x: f.pad(x[0, 0], (0, 0), "reflect"), lambda f, x: f.pad(x, (0, 0)),
        lambda f, x: f.unfold(x, 1), lambda f, x: f.fold(x.view(1, 1, -1), x.shape[2:], 1),
        lambda f, x: f.interpolate(x, x.shape[2:]), lambda f, x: (x > 0).sign(), lambda f, x: x.round(),
        lambda f, x: x.sum(()), lambda f, x: x.amax(1), lambda f, x: x.cumsum(1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [4, 80])
def test_a_result_is_not_its_input(call, size):
    """Large arrays take other ways than small ones."""
    x = rushlight.arange(float(size * size)).reshape(1, 1, size, size)
    kept = x.clone()
    call(rushlight.nn.functional, x).add_(True)
    assert x.equal(kept)
