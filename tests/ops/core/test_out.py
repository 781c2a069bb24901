"""``out=``: which dtypes it takes, what it resizes, and when it says so."""

import warnings

import pytest

import rushlight
from tests.ops.core.test_wrong_arguments import names, sound

DTYPES = ("float16", "float32", "float64", "int64", "uint8", "bool", "complex64")
SHAPES = ((0,), (7,), (1,))


def called(t, function, given, outs):
    """(error, whether it warned of resizing, shapes after it) of a call with ``out=``."""
    t.manual_seed(0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            eval(f"{function}({', '.join(given)}, out=OUT)", {**names(t), "OUT": outs})
        except Exception as error:
            return error, False, None
    resized = any("resized" in str(w.message) for w in said)
    return None, resized, [tuple(o.shape) for o in flat(outs)]


def flat(outs):
    return outs if isinstance(outs, tuple) else (outs,)


def empties(t, results, dtype=None, which=None, shape=None):
    """Tensors like the results; that at ``which`` in another dtype, or all of another shape."""
    made = []
    for k, r in enumerate(flat(results)):
        d = dtype if dtype is not None and which in (None, k) else str(r.dtype)[6:]
        made.append(t.empty(tuple(r.shape) if shape is None else shape, dtype=getattr(t, d)))
    return tuple(made) if isinstance(results, tuple) else made[0]


def cases(t):
    """(function, arguments, results) of the calls of the list that take ``out=``."""
    seen = set()
    for function, given in sound():
        if function in seen or not function.startswith("torch.") or "dtype" in str(given):
            continue
        t.manual_seed(0)
        results = eval(f"{function}({', '.join(given)})", names(t))
        if not all(isinstance(r, t.Tensor) for r in flat(results)):
            continue
        error, _, _ = called(t, function, given, empties(t, results))
        if not isinstance(error, TypeError):
            seen.add(function)
            yield function, given, results


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_as_pytorch():
    peer = pytest.importorskip("torch")
    other, count = [], 0
    for function, given, results in cases(peer):
        several = range(len(results)) if isinstance(results, tuple) else [None]
        asked = [{"dtype": d, "which": k} for d in DTYPES for k in several]
        for how in (*asked, *({"shape": shape} for shape in SHAPES)):
            want = called(peer, function, given, empties(peer, results, **how))
            got = called(rushlight, function, given, empties(rushlight, results, **how))
            count += 1
            alike = isinstance(got[0], type(want[0])) and (want[0] is not None or want == got)
            if not alike:
                other.append((function, how, want, got))
    assert count > 1000
    # PyTorch's CPU has no kernel for some; see docs/differences.md.
    assert len(other) <= count * 0.025, other


def test_only_its_own_dtype():
    t = rushlight
    x, half = t.ones(2, 2), t.empty(2, 2, dtype=t.float16)
    for call in (t.mm, t.matmul, t.maximum):
        if call is t.maximum:
            assert call(x, x, out=half) is half  # promotes, and so converts
            continue
        with pytest.raises(
            RuntimeError, match=r"out tensor .* torch.float32, but got torch.float16"
        ):
            call(x, x, out=half)
    with pytest.raises(RuntimeError, match="can't be cast"):
        t.add(x, x, out=t.empty(2, 2, dtype=t.int64))
    with pytest.raises(TypeError, match="can't be cast"):
        t.cat([x, x], out=t.empty(0, dtype=t.int64))
    values = t.empty(0, dtype=t.float64), t.empty(0, dtype=t.int64)
    with pytest.raises(RuntimeError, match="sort"):
        t.sort(x, out=values)
    with pytest.raises(TypeError, match="tuple of 2 Tensors"):
        t.sort(x, out=x)


def test_sums_are_computed_in_the_dtype_of_out():
    t = rushlight
    x = t.tensor([0.6, 0.6, 0.6])
    for call, want in ((t.sum, 0), (t.prod, 0)):
        out = t.empty((), dtype=t.int64)
        assert call(x, dim=0, out=out).item() == want
    assert t.cumsum(x, 0, out=t.empty(3, dtype=t.int64)).tolist() == [0, 0, 0]
    assert t.inner(x, x, out=t.empty(())).item() == pytest.approx(1.08)
    assert t.arange(3, out=t.empty(0, dtype=t.float64)).dtype is t.float64
    assert t.msort(x, out=t.empty(3)).tolist() == x.tolist()


def test_out_with_gradients_is_refused_before_all_else():
    x = rushlight.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        rushlight.cat([x, x], 3, out=rushlight.empty(0))
    with pytest.raises(IndexError):
        rushlight.cat([x.detach()], 3, out=rushlight.empty(0))
