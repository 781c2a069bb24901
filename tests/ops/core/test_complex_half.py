"""complex32: computed in complex64 and rounded once, so that every operation has it."""

import io

import numpy as np
import pytest

import rushlight as torch
from tests.samples import SAMPLES

pytestmark = [
    pytest.mark.skipif(not hasattr(torch, "complex32"), reason="it needs ml_dtypes 0.6"),
    pytest.mark.filterwarnings("ignore"),
]
# View of bits; the dtype of a window or of distances that a sample gives as complex numbers.
OTHERS = ("view_dtype", "view_copy", "ldexp", "gradient-8", "gru")


def made(values=(1 + 2j, 3.140625 - 4j, 0.5 + 6e4j)):
    return torch.tensor(values, dtype=torch.complex32)


def test_what_it_is():
    x = made()
    assert torch.chalf is torch.complex32 is x.dtype and x.dtype.is_complex
    assert x.itemsize == 4 and x.type() == "torch.ComplexHalfTensor"
    assert torch.half.to_complex() is x.dtype and x.dtype.to_real() is torch.half
    assert torch.finfo(x.dtype).max == 65504
    assert x.tolist() == [1 + 2j, 3.140625 - 4j, 0.5 + 6e4j] and x[0].item() == 1 + 2j
    assert str(made([1, 2 - 0.5j])) == "tensor([1.+0.0000j, 2.-0.5000j], dtype=torch.complex32)"


def test_parts_share_memory():
    x = made()
    assert x.real.tolist() == [1.0, 3.140625, 0.5] and x.imag.dtype is torch.half
    x.real[0] = 7
    x.imag.mul_(0.5)
    assert x.tolist() == [7 + 1j, 3.140625 - 2j, 0.5 + 3e4j]
    pairs = torch.view_as_real(x)
    pairs[0, 1] = -1
    assert x[0].item() == 7 - 1j
    assert torch.view_as_complex(pairs).data_ptr() == x.data_ptr()
    turned = made([[1, 2j], [3, 4]]).T
    assert turned.real.tolist() == [[1, 3], [0, 4]] and turned.imag.tolist() == [[0, 0], [2, 0]]


def test_dtypes_of_results():
    x, half = made(), torch.ones(3, dtype=torch.half)
    assert torch.complex(half, half).dtype is x.dtype
    assert (half * 1j).dtype is (x + half).dtype is (x * 2).dtype is x.dtype
    assert x.abs().dtype is torch.half and (x == x).all()
    for other, common in [
        (torch.bfloat16, torch.complex64), (torch.float32, torch.complex64),
        (torch.float64, torch.complex128), (torch.int64, x.dtype),
    ]:  # fmt: skip
        assert torch.promote_types(x.dtype, other) is common
        assert torch.promote_types(other, x.dtype) is common


def test_conversions():
    x = made([1j, 1e-3, 0, 2.5 - 1j])
    assert x.bool().tolist() == [True, True, False, True]
    assert x.any() and not x.all() and x.count_nonzero() == 3
    assert x.half().tolist()[3] == x.float().tolist()[3] == 2.5 and x.int().tolist() == [0, 0, 0, 2]
    assert x.to(torch.complex128).to(x.dtype).tolist() == x.tolist()
    assert torch.tensor([1e5 + 1j]).chalf().item() == complex("inf+1j")
    with pytest.raises(TypeError, match="ScalarType ComplexHalf"):
        x.numpy()


def test_no_order():
    for call in ("sort", "max", "argmax", "unique", "mode", "median"):
        with pytest.raises((RuntimeError, NotImplementedError)):
            getattr(made(), call)()


def test_files():
    file = io.BytesIO()
    torch.save(made(), file)
    file.seek(0)
    assert torch.load(file).tolist() == made().tolist()


def test_gradient():
    x = made([3 + 4j, 1]).requires_grad_()
    (x.abs() * x.real).sum().backward()
    assert x.grad.dtype is x.dtype and x.grad.tolist() == [6.80078125 + 2.400390625j, 2]


def test_compiled():
    f = torch.compile(lambda x: x * x + x.conj())
    x = made([1 + 2j, 3])
    assert f(x).tolist() == f(x).tolist() == [-2 + 2j, 12]


def _flat(found):
    if isinstance(found, (tuple, list)):
        return [t for item in found for t in _flat(item)]
    return [found] if isinstance(found, torch.Tensor) else []


def _inputs(sample, dtype):
    for a in sample.inputs:
        if a.dtype.kind in "fc":
            yield torch.tensor(a.astype(np.complex64)).chalf().to(dtype).requires_grad_()
        else:
            yield torch.tensor(a)


def _close(wide, found, tolerance):
    """Whether the complex32 or half-precision ``found`` is ``wide`` rounded."""
    if wide.dtype not in (torch.float32, torch.complex64):
        return wide.dtype is found.dtype and torch.equal(wide, found)
    if found.dtype is not (torch.half if wide.is_floating_point() else torch.complex32):
        return False
    a, b = (t.detach().to(wide.dtype).resolve_conj().resolve_neg().numpy() for t in (wide, found))
    held = np.abs(a) < 6e4
    largest = max(1.0, np.abs(a[held]).max(initial=0.0))
    return np.allclose(a[held], b[held], tolerance, tolerance * largest, equal_nan=True)


@pytest.mark.parametrize("family", sorted({name[:2] for name in SAMPLES}))
def test_no_operation_gives_a_wrong_result(family):
    """What computes with complex64 computes with complex32, up to rounding, or raises."""
    for name, sample in SAMPLES.items():
        if name[:2] != family or sample.draws or name.startswith(OTHERS):
            continue
        if not any(a.dtype.kind in "fc" for a in sample.inputs):
            continue
        wide, narrow = (list(_inputs(sample, d)) for d in (torch.complex64, torch.complex32))
        try:
            want = _flat(sample.call(torch, *wide))
        except Exception:
            continue
        try:
            found = _flat(sample.call(torch, *narrow))
        except (RuntimeError, TypeError):
            continue
        assert len(want) == len(found), name
        for a, b in zip(want, found, strict=True):
            assert _close(a, b, 1e-2), name
        if not sample.numeric or "fft" in name or "stft" in name:
            continue  # of numbers that round to 0 the absolute value has another gradient
        grads = []
        for leaves, outs in ((wide, want), (narrow, found)):
            total = sum(
                (t.abs().float() ** 2).sum()
                for t in outs
                if t.requires_grad and t.dtype.category > 1
            )
            leaves = [t for t in leaves if t.requires_grad]
            if isinstance(total, torch.Tensor):
                grads.append(torch.autograd.grad(total, leaves, allow_unused=True))
        for a, b in zip(*grads, strict=True) if grads else ():
            assert (a is None) is (b is None), name
            assert a is None or _close(a, b, 6e-2), name


CALLS = {
    "sum of products": lambda t, x, y: x * y + x - 2 * y,
    "parts": lambda t, x, y: t.stack([x.real, y.imag, x.abs()]),
    "complex": lambda t, x, y: t.complex(x.real, y.imag),
    "powers": lambda t, x, y: x.conj() * 1j + y.sgn(),
    "moved": lambda t, x, y: t.cat([x[1:], y.expand(2, 3)[1].roll(1)]),
    "masked": lambda t, x, y: t.where(x.real > 1, x, 0) + x.masked_fill(x.real > 1, 2j),
    "filled": lambda t, x, y: t.full((3,), 1 + 2j, dtype=x.dtype) + t.zeros_like(x),
    "random": lambda t, x, y: (t.manual_seed(0), t.rand(3, dtype=x.dtype) + t.randn(3, dtype=x.dtype))[1],
    "counts": lambda t, x, y: t.stack([x.isnan(), x.isfinite(), x.isinf(), x.bool(), x != y]),
    "scattered": lambda t, x, y: t.zeros(5, dtype=x.dtype).index_add(0, t.tensor([0, 0, 3]), x),
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", CALLS)
def test_as_pytorch(name):
    peer = pytest.importorskip("torch")
    found, want = (
        CALLS[name](
            t,
            t.tensor([1 + 2j, 3.14 - 4j, 0.5 + 60j], dtype=t.complex32),
            t.tensor([0, -1j, 2.5 + 3j], dtype=t.complex32),
        )
        for t in (torch, peer)
    )
    assert str(found.dtype) == str(want.dtype)
    np.testing.assert_allclose(
        found.to(torch.complex64).numpy(), want.to(peer.complex64).numpy(), 2e-3, 2e-3
    )
