"""Views: shapes, strides, errors, and gradients and writes through chains of them, as PyTorch's."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rushlight as torch
from tests.ops.geometry import (
    attempt,
    check,
    comparable,
    expressions,
    geometry,
    numbered,
    same_error,
)
from tests.ops.parity import check_gradients

SHAPES = [(), (1,), (4,), (2, 3), (1, 3), (3, 1, 2), (2, 3, 4), (0, 3), (2, 0, 3)]

EXPRESSIONS = expressions("""
    x.view(-1) x.view(6) x.view(2,-1) x.view(-1,-1) x.view(-2,3) x.view((1,*x.shape))
    x.view(2.0,3) x.view('a') x.view() x.view(x.numel(),1) x.view(*x.shape,1,1) x.reshape(-1)
    x.reshape(3,-1) x.reshape(()) x.reshape(shape=(-1,1)) x.reshape() torch.reshape(x,(1,-1))
    torch.reshape(x,1,-1) x.flatten() x.flatten(1) x.flatten(0,-2) x.flatten(1,0) x.flatten(0,5)
    x.unflatten(0,(1,-1)) x.unflatten(-1,(3,1)) x.unflatten(0,()) x.unflatten(1,(2,2)) x.ravel()
    x.t() x.T x.mT x.H x.mH x.squeeze() x.squeeze(0) x.squeeze(-1) x.squeeze((0,1)) x.squeeze(())
    x.squeeze(5) x.unsqueeze(0) x.unsqueeze(-1) x.unsqueeze(1) x.unsqueeze(7) x.transpose(0,-1)
    x.transpose(0,5) x.swapaxes(1,0) torch.swapdims(x,0,1) x.permute(1,0) x.permute((-1,0))
    x.permute(2,0,1) x.permute(0,0) x.permute(()) x.movedim(0,-1) x.moveaxis((0,1),(1,0))
    x.movedim((0,0),(0,1)) x.movedim((0,1),(0,)) x.expand(2,*x.shape) x.expand(-1,3) x.expand(-1)
    x.expand(4) x.expand(2,3,4) x.expand(-2) x.expand_as(x) torch.broadcast_to(x,(2,3))
    torch.broadcast_tensors(x,torch.zeros(3,1,1)) torch.broadcast_tensors(x,torch.zeros(5))
    torch.broadcast_shapes((2,1),(3,),4) torch.broadcast_shapes((2,),(3,)) x.narrow(0,1,1)
    x.narrow(0,-1,1) x.narrow(0,3,2) x.narrow(0,9,0) x.narrow(0,0,-1) x.select(0,0)
    x.select(-1,-1) x.select(0,9) x.diagonal() x.diagonal(1) x.diagonal(-1,-1,0) x.diagonal(9)
    x.diagonal(0,1,1) x.diagonal(offset=1) x.diagonal(dim2=0,dim1=1) x.diagonal(1,dim2=1,dim1=-1)
    x.diagonal(True) x.diagonal(1.0) x.diagonal(0,offset=1) x.diagonal(n=1) x.transpose(dim1=0,dim0=1)
    x.transpose(0,dim0=1) x.transpose(0) x.transpose(0,1,2) x.unsqueeze(dim=0) x.unfold(0,True,1)
    x.unfold(dimension=0,step=1,size=1) x.unbind() x.unbind(-1) x.unbind(4) x.split(1) x.split(2,-1) x.split([1,1])
    x.split(0) x.split(-1) x.split(2.5) x.chunk(2) x.chunk(9) x.chunk(0) x.tensor_split(2)
    x.tensor_split([1]) x.unfold(0,1,1) x.unfold(-1,2,1) x.unfold(0,9,1) x.unfold(0,1,0)
    x.unfold(0,0,1) x.as_strided((2,2),(1,1)) x.as_strided((2,),(1,),1) x.as_strided((9,9),(3,3))
    x.as_strided((2,),(-1,)) x.as_strided((2,),(1,1)) x.as_strided((1,),(1,),-1) x.view_as(x)
    x.reshape_as(x) x.contiguous() x.clone() x.view(torch.int32) x.view(torch.float64)
    x.view(torch.int16) x.view(dtype=torch.uint8) torch.atleast_1d(x) torch.atleast_2d(x)
    torch.atleast_3d(x) torch.atleast_2d(x,x) torch.atleast_1d([x])
    x.view(torch.Size([x.numel()])) x.view(torch.tensor(x.numel()))
""")


@pytest.mark.parity
@pytest.mark.parametrize("layout", ["contiguous", "reversed", "stepped"])
def test_results_and_refusals(layout):
    for shape in SHAPES:
        for e in EXPRESSIONS:
            check(e, lambda t, s=shape: {"x": numbered(t, s, layout)})


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", ["contiguous", "reversed", "stepped", "permuted"])
def test_strides(layout):
    oracle = pytest.importorskip("torch")
    for shape in SHAPES:
        for e in EXPRESSIONS:
            got, want = [
                attempt(eval, e, {"torch": t, "x": numbered(t, shape, layout)})[0]
                for t in (torch, oracle)
            ]
            if isinstance(want, oracle.Tensor):
                # Elements of another dtype have no base in PyTorch.
                if "dtype" not in e and "view(torch." not in e:
                    assert (got._base is None) == (want._base is None), (shape, e)
                assert comparable(geometry(got), geometry(want)), (
                    shape,
                    e,
                    geometry(got),
                    geometry(want),
                )


@pytest.mark.parity
@pytest.mark.parametrize(
    "e",
    expressions(
        """
        x.view(4,-1)|x.reshape(-1)|x.t().reshape(-1)|x.T.flatten()|x.unflatten(1,(2,-1))|x.ravel()
        x.t()|x.mT|x.H|x.squeeze()|x.squeeze(0)|x.squeeze((0,))|x.unsqueeze(1)|x.transpose(0,1)
        x.permute(1,0)|x.movedim(0,1)|x.expand(2,3,4)|x.narrow(1,1,2)|x.select(1,2)|x.diagonal(1)
        x.unbind(1)|x.split(2,1)|x.split([1,2])|x.chunk(2)|x.unfold(1,2,1)
        x.as_strided((2,2),(1,2),1)|x.as_strided((3,3),(1,1))|torch.broadcast_to(x,(2,3,4))
        x.t().contiguous()|x.clone()|x.view_as(x)|x.t().as_strided((4,),(2,))
        x.expand(2,3,4).reshape(-1)|x[1:].view(-1)|x.unbind()[1]
    """,
        "|",
    ),
)
def test_gradients_and_names(e):
    check_gradients(e.strip(), x=np.arange(12.0).reshape(3, 4))


# Chains -----------------------------------------------------------------------------------


@st.composite
def steps(draw, x):
    """One view operation that suits ``x`` most of the time, as (text, function)."""
    n = x.dim()
    d = lambda k=n: draw(st.integers(-k, max(k - 1, 0)))
    kind = draw(
        st.sampled_from(
            expressions(
                "transpose permute unsqueeze squeeze select narrow expand view flatten diagonal unfold t split unbind slice step"
            )
        )
    )
    if kind == "permute":
        args = (tuple(draw(st.permutations(range(n)))),)
    elif kind == "expand":
        args = (
            tuple(
                [2] * draw(st.integers(0, 1))
                + [draw(st.integers(1, 3)) if m == 1 else m for m in x.shape]
            ),
        )
    elif kind == "view":
        m = x.numel()
        args = (
            draw(
                st.sampled_from(
                    [(-1,), (m, 1), (2, -1), (-1, 3), (1, m), (2, -1, 2), tuple(x.shape)]
                )
            ),
        )
    elif kind in ("slice", "step"):
        key = slice(draw(st.integers(0, 2)), None, 2 if kind == "step" else None)
        return f"[{key}]", lambda y: y[key]
    elif kind in ("split", "unbind"):
        args = (draw(st.integers(1, 2)), d()) if kind == "split" else (d(),)
        return f"{kind}{args}[0]", lambda y: getattr(y, kind)(*args)[0]
    else:
        args = {
            "transpose": lambda: (d(), d()),
            "unsqueeze": lambda: (d(n + 1),),
            "squeeze": lambda: (d(),) * draw(st.integers(0, 1)),
            "select": lambda: (d(), draw(st.integers(-2, 2))),
            "narrow": lambda: (d(), draw(st.integers(0, 2)), draw(st.integers(0, 3))),
            "flatten": lambda: (d(), d()),
            "diagonal": lambda: (draw(st.integers(-1, 1)), d(), d()),
            "unfold": lambda: (d(), draw(st.integers(1, 3)), draw(st.integers(1, 2))),
            "t": lambda: (),
        }[kind]()
    return f"{kind}{args}", lambda y: getattr(y, kind)(*args)


def _chain(data, xs, what):
    """Apply the same views to both tensors of ``xs`` and compare them at each step."""
    for _ in range(data.draw(st.integers(1, 4))):
        text, step = data.draw(steps(xs[0]))
        what.append(text)
        (got, mine), (want, error) = [attempt(step, x) for x in xs]
        if same_error(mine, error, what):
            what.pop()
            continue
        assert comparable(geometry(got), geometry(want)), (what, geometry(got), geometry(want))
        np.testing.assert_array_equal(got.detach().numpy(), want.detach().numpy(), str(what))
        assert type(got.grad_fn).__name__ == type(want.grad_fn).__name__, what
        xs = [got, want]
    return xs


@pytest.mark.parity
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), shape=st.lists(st.sampled_from([1, 2, 3, 4]), max_size=4).map(tuple))
def test_chains_of_views_with_writes_and_gradients(data, shape):
    oracle = pytest.importorskip("torch")
    frameworks = (torch, oracle)
    leaves = [numbered(t, shape).requires_grad_() for t in frameworks]
    bases = [x.clone() for x in leaves]
    what = [shape]
    views = _chain(data, bases, what)
    write = data.draw(st.sampled_from(["", "mul", "fill", "copy", "zero"]))
    if write and 0 not in views[0].stride() and "unfold" not in str(what):
        what.append(write)
        act = {
            "mul": lambda t, y: y.mul_(3),
            "fill": lambda t, y: y.fill_(2),
            "zero": lambda t, y: y.zero_(),
            "copy": lambda t, y: y.copy_(t.full(tuple(y.shape), 5.0)),
        }[write]
        mine, error = [
            attempt(lambda t=t, y=y: act(t, y))[1] for t, y in zip(frameworks, views, strict=True)
        ]
        if same_error(mine, error, what):
            return
    np.testing.assert_array_equal(bases[0].detach().numpy(), bases[1].detach().numpy(), str(what))
    for t, base, y in zip(frameworks, bases, views, strict=True):
        w = t.from_numpy(np.cos(np.arange(float(y.numel()))).astype("f4")).reshape(tuple(y.shape))
        v = t.from_numpy(np.sin(np.arange(float(base.numel()))).astype("f4")).reshape(
            tuple(base.shape)
        )
        ((y * w).sum() + (base * v).sum()).backward()
    np.testing.assert_allclose(
        leaves[0].grad.numpy(), leaves[1].grad.numpy(), 1e-5, 1e-5, err_msg=str(what)
    )


# Without PyTorch --------------------------------------------------------------------------


def test_view_never_copies_and_reshape_only_when_it_must():
    x = torch.arange(6.0).reshape(2, 3)
    assert x.view(3, 2).data_ptr() == x.reshape(6).data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match=r"not compatible.*reshape"):
        x.t().view(6)
    copied = x.t().reshape(6)
    assert copied.data_ptr() != x.data_ptr() and copied.tolist() == [0, 3, 1, 4, 2, 5]


def test_errors_name_the_numbers_that_disagree():
    x = torch.zeros(2, 3)
    for call, text in [
        (lambda: x.view(4), r"'\[4\]' is invalid for input of size 6"),
        (
            lambda: x.expand(2, 4),
            r"\(4\) must match the existing size \(3\) at non-singleton dimension 1",
        ),
        (lambda: x.permute(0), r"\(2, 3\) has 2 dims"),
        (lambda: x.unflatten(1, (2, 2)), r"don't multiply up to the size of dim 1 \(3\)"),
        (
            lambda: x.as_strided((3, 3), (3, 1)),
            "requiring a storage size of 36 are out of bounds for storage of size 24",
        ),
        (lambda: x.unfold(1, 4, 1), "maximum size for tensor at dimension 1 is 3 but size is 4"),
    ]:
        with pytest.raises(RuntimeError, match=text):
            call()


def test_in_place_changes_of_dims():
    x = torch.arange(6).reshape(2, 3)
    y = x.t_()
    assert y is x and x.shape == (3, 2) and x.stride() == (1, 3)
    assert x.unsqueeze_(0).squeeze_().transpose_(0, 1).tolist() == [[0, 1, 2], [3, 4, 5]]
    w = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        w.t_()
    z = w * 2
    z.t_().sum().backward()
    assert w.grad.tolist() == [[2.0] * 3] * 2


def test_outputs_of_split_and_unbind_are_not_written_in_place():
    x = torch.ones(4, requires_grad=True) * 1
    for part in (x.split(2)[0], x.unbind()[1]):
        with pytest.raises(RuntimeError, match="multiple views"):
            part.mul_(2)
    torch.ones(4).split(2)[0].mul_(2)  # without gradients it may be


def test_expanded_memory_is_not_written_twice():
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.zeros(1).expand(3).add_(torch.arange(3.0))
    assert torch.zeros(1).expand(3).fill_(2).tolist() == [2.0] * 3


def test_other_numbers_of_the_same_bytes_have_no_history():
    x = torch.ones(4, requires_grad=True) * 2
    seen = x.view(torch.int32)
    assert not seen._is_view() and not seen.requires_grad
    seen.zero_().detach_()
    assert x._version == 1 and x.tolist() == [0.0] * 4
    assert x.grad_fn.name() == "MulBackward0"


def test_bytes_of_empty_tensors():
    assert (torch.zeros(0) * 2).view(torch.float16).shape == (0,)
    assert (torch.zeros(0, 3) * 2).view(torch.uint8).stride() == (12, 1)
    with pytest.raises(RuntimeError, match=r"stride\(0\) must be divisible"):
        (torch.zeros(3, 0) * 2).view(torch.float64)


def test_pairs_of_a_single_row_are_complex_numbers_wherever_another_row_would_lie():
    for shape, strides in (((1, 2), (1, 1)), ((3, 1, 2), (2, 3, 1))):
        x = torch.arange(8.0).as_strided(shape, strides)
        z = torch.view_as_complex(x)
        assert torch.equal(torch.view_as_real(z), x)
        assert z.stride() == tuple([s // 2 for s in strides[:-1]])


def test_a_view_as_its_own_dtype_is_another_tensor_without_history():
    x = torch.ones(2, 3, requires_grad=True)
    y = x.view(torch.float32)
    assert y is not x and not y.requires_grad and y.data_ptr() == x.data_ptr()
