"""NumPy's names ``axis`` and ``keepdims`` are taken by the functions that are in C in PyTorch."""

import pytest

import rushlight as torch

_X = torch.arange(12.0).reshape(3, 4)
_INDEX = torch.zeros(1, 4, dtype=torch.int64)


@pytest.mark.parametrize("name", torch.fft.__all__)
def test_fourier_transforms(name):
    call = getattr(torch.fft, name)
    if name.endswith("freq"):
        pytest.skip("it takes no tensor")
    dims = 0 if call.__name__.endswith(("ft", "shift")) else (0,)
    assert torch.equal(call(_X, axis=dims), call(_X, dim=dims))


@pytest.mark.parametrize(
    "call",
    [
        lambda **k: torch.linalg.vector_norm(_X, **k),
        lambda **k: torch.linalg.norm(_X, **k),
        lambda **k: torch.std(_X, **k),
        lambda **k: torch.sum(_X, **k),
        lambda **k: _X.argmax(**k),
        lambda **k: torch.logsumexp(_X, **k),
    ],
)
def test_reductions(call):
    assert torch.equal(call(axis=1, keepdims=True), call(dim=1, keepdim=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda **k: torch.gather(_X, index=_INDEX, **k),
        lambda **k: _X.index_select(index=_INDEX[0], **k),
        lambda **k: torch.special.softmax(_X, dtype=None, **k),
        lambda **k: torch.nn.functional.cosine_similarity(_X, _X + 1, **k),
        lambda **k: torch.take_along_dim(_X, _INDEX, **k),
    ],
)
def test_other_functions(call):
    assert torch.equal(call(axis=0), call(dim=0))


def test_functions_in_python_refuse_them():
    with pytest.raises(TypeError):
        torch.nn.functional.softmax(_X, axis=0)


def test_roll_takes_no_dims():
    assert torch.equal(torch.roll(_X, 1, None), torch.roll(_X, 1))
