"""Operations that scale by a number, in every pair of dtypes: live PyTorch says what comes out."""

import itertools
import warnings

import pytest

import rushlight
from tests.ops.parity import ALL, same

_VALUES = {
    "bool": [1, 0, 1, 1], "uint8": [3, 100, 0, 7], "int8": [3, -100, 0, 100],
    "int16": [3, -300, 0, 7], "int32": [3, -300, 0, 20000], "int64": [3, -300, 0, 20000],
}  # fmt: skip
_FRACTIONS = [1.5, -2.25, 0.0, 100.0]
_SCALARS = (2, -3, 300, 0, 1, True, False, 1.0, 0.5, -1e30, 1j, 2 + 0j)
_PAIR = {
    "add": lambda t, x, y, s: t.add(x, y, alpha=s),
    "add of a 0-dim tensor": lambda t, x, y, s: t.add(x, y[1], alpha=s),
    "add to a 0-dim tensor": lambda t, x, y, s: t.add(x[1], y, alpha=s),
    "add of a number": lambda t, x, y, s: t.add(x, 3, alpha=s),
    "add_": lambda t, x, y, s: x.add_(y, alpha=s),
    "add, out=": lambda t, x, y, s: t.add(x, y, alpha=s, out=t.empty(4, dtype=x.dtype)),
    "sub": lambda t, x, y, s: t.sub(x, y, alpha=s),
    "sub_": lambda t, x, y, s: x.sub_(y, alpha=s),
    "rsub": lambda t, x, y, s: t.rsub(x, y, alpha=s),
    "rsub of a number": lambda t, x, y, s: t.rsub(x, 3, alpha=s),
    "addcmul": lambda t, x, y, s: t.addcmul(x, y, y, value=s),
    "addcmul of both": lambda t, x, y, s: t.addcmul(y, x, y, value=s),
    "addcmul_": lambda t, x, y, s: x.addcmul_(y, x, value=s),
    "addcdiv": lambda t, x, y, s: t.addcdiv(x, y, y + 1, value=s),
    "addcdiv_": lambda t, x, y, s: x.addcdiv_(y, x + 1, value=s),
    "lerp": lambda t, x, y, s: t.lerp(x, y, s),
    "lerp_": lambda t, x, y, s: x.lerp_(y, s),
    "index_add": lambda t, x, y, s: t.index_add(x, 0, t.tensor([1, 1, 0, 3]), y, alpha=s),
    "index_add_": lambda t, x, y, s: x.index_add_(0, t.tensor([1, 1, 0, 3]), y, alpha=s),
}
_MATRICES = {
    "addmm": lambda t, x, y, s, b: t.addmm(x, y.view(4, 1), y.view(1, 4), alpha=s, beta=b),
    "addmm_": lambda t, x, y, s, b: x.expand(4, 4).clone().addmm_(
        y.view(4, 1), y.view(1, 4), alpha=s, beta=b
    ),
    "addmv": lambda t, x, y, s, b: t.addmv(x, y.view(4, 1), y[:1], alpha=s, beta=b),
    "addr": lambda t, x, y, s, b: t.addr(x, y, y, alpha=s, beta=b),
    "addbmm": lambda t, x, y, s, b: t.addbmm(
        x, y.view(2, 2, 1), y.view(2, 1, 2)[:, :, :1].expand(2, 1, 4), alpha=s, beta=b
    ),
    "baddbmm": lambda t, x, y, s, b: t.baddbmm(
        x, y.view(2, 2, 1), y.view(2, 1, 2)[:, :, :1].expand(2, 1, 4), alpha=s, beta=b
    ),
}  # fmt: skip


def _given(torch, dtype):
    return torch.tensor(_VALUES.get(dtype, _FRACTIONS)).to(getattr(torch, dtype))


def _outcome(call, torch, a, b, *scalars):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(torch, _given(torch, a), _given(torch, b), *scalars)
        except Exception as error:
            return error


def _faults(calls, pairs, scalars):
    peer = pytest.importorskip("torch")
    found = []
    for (name, call), (a, b), given in itertools.product(calls.items(), pairs, scalars):
        got, want = (_outcome(call, t, a, b, *given) for t in (rushlight, peer))
        what = f"{name} {a} {b} {given}"
        if isinstance(want, Exception) or isinstance(got, Exception):
            if "complex<c10::Half>" in str(want):
                continue  # the same
            kinds = [type(x) if isinstance(x, Exception) else None for x in (got, want)]
            if kinds[0] is None or kinds[1] is None or not issubclass(*kinds):
                found.append(f"{what}: {got!r}, PyTorch {want!r}")
            continue
        if "complex32" in str(want.dtype):  # rushlight has no complex32
            continue
        try:
            same(got, want, what)
        except AssertionError:
            found.append(f"{what}: {got!r}, PyTorch {want!r}")
    return found


@pytest.mark.parity
@pytest.mark.parametrize("name", _PAIR)
def test_a_factor_in_every_pair_of_dtypes(name):
    pairs = itertools.product(ALL, ALL)
    faults = _faults({name: _PAIR[name]}, pairs, [(s,) for s in _SCALARS])
    assert not faults, "\n".join(faults)


@pytest.mark.parity
@pytest.mark.parametrize("name", _MATRICES)
def test_factors_of_a_product_in_every_dtype(name):
    pairs = [(a, a) for a in ALL] + [("float32", "float64"), ("int64", "float32")]
    scalars = itertools.product(_SCALARS, (0, 1, 2, 0.5, True, 1j))
    faults = _faults({name: _MATRICES[name]}, pairs, list(scalars))
    assert not faults, "\n".join(faults)
