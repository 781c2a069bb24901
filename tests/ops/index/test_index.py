"""Indexing, gathering and scattering: values, errors, gradients and writes as PyTorch's."""

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

# Python's indexing ------------------------------------------------------------------------

READ = expressions("""
    x[1] x[-1] x[5] x[-6] x[1:3] x[:] x[...] x[()] x[None] x[None,1] x[1,None] x[...,1] x[...,...]
    x[:,1] x[::2,1:] x[3:1] x[10:20:2] x[::-1] x[::0] x[1.0] x[1.0:2] x['a'] x[{}] x[True]
    x[False] x[:,True] x[1,2,3,4] x[...,None,:] x[i] x[:,i] x[i,i] x[i,:,i] x[i,j] x[j] x[j,1]
    x[1,i] x[0,:,i] x[:,1,i] x[i,...,i] x[None,i] x[i,None] x[i.int()] x[i.to(torch.int16)]
    x[i.float()] x[i.bool()] x[i+9] x[-i-9] x[[0,1]] x[[0,1],[0,1,2]] x[[0,1],[1,0]] x[(0,1),]
    x[range(2)] x[[]] x[[True,False,True,False]] x[[[0,1],[1,2]],] x[n] x[n.astype(bool)]
    x[np.array(1)] x[np.int64(1)] x[np.True_] x[m] x[m[0]] x[:,m[0]] x[m,:2] x[x>5]
    x[torch.tensor(1)] x[torch.tensor(True)] x[torch.tensor(1):3]
    x[torch.tensor([1,0,1,0],dtype=torch.uint8)] x[...,torch.tensor([0]),:] x[i,m[0]] x[i[:0]]
    x[0][1] x[x.new_zeros(0,5,6).bool()] x[i,j,1] x[i,1:,i] x[:,:,i] x[i,0,None,...]
""")


def _operands(torch, shape=(4, 5, 6), dtype=None):
    return {
        "x": numbered(torch, shape, dtype=dtype),
        "i": torch.tensor([2, 0]),
        "j": torch.tensor([[1], [0]]),
        "np": np,
        "n": np.array([1, 0, 1, 1]),
        "m": torch.tensor([[True, False, True, True, False]] * 2 + [[False] * 5] * 2),
    }


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(4, 5, 6), (4,), (), (4, 0, 6), (0, 5, 6)])
def test_reading(shape):
    for e in READ:
        if shape or e not in ("x['a']", "x[1.0:2]"):
            check(e, lambda t: _operands(t, shape))


@pytest.mark.parity
def test_gradients_and_names_of_reading():
    for e in expressions(
        "x[1] x[1:3] x[:] x[...] x[None] x[:,1] x[1,None] x[[0,2,0]] x[True] x[:,[1,1]] x[[0,1],[1,2]] x[x>5] x[1:,None,[0,0]]"
    ):
        check_gradients(e, x=np.arange(12.0).reshape(3, 4))


WRITE = expressions(
    """
    1.5|2|True|1j|300|None|'a'|[1,2]|torch.ones(6)|torch.ones(1,1,6)|torch.ones(3)
    torch.tensor(3.)|torch.ones(6).double()|np.ones(6)|np.float64(2)|np.float32(2)|np.int64(2)|-1
    1e40|torch.tensor([1+1j])
""",
    "|",
)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_writing(dtype):
    for key in (
        "0",
        "1:3",
        "...",
        "i",
        "(0, i)",
        "m",
        "None, 0",
        "(i, i)",
        "slice(9, None)",
        "9",
        "1.5",
        "(..., 0)",
    ):
        for value in WRITE:
            check(
                f"(x.__setitem__({key}, {value.strip()}), x)[1]",
                lambda t: _operands(t, dtype=dtype),
            )


@st.composite
def indices(draw, shape):
    """An index for ``shape``, arrays in it as NumPy arrays; a little of it is out of range."""
    items, d = [], 0
    while d < len(shape):
        n = shape[d]
        kind = draw(
            st.sampled_from(expressions("int slice slice none ellipsis bool array array mask end"))
        )
        if kind == "int":
            items.append(draw(st.integers(-n - (n == 2), max(n - 1, 0))))
            d += 1
        elif kind == "slice":
            end = st.none() | st.integers(-6, 6)
            items.append(slice(draw(end), draw(end), draw(st.sampled_from([None, 1, 2, 3]))))
            d += 1
        elif kind == "array":
            form = draw(st.sampled_from([(2,), (3, 1), (), (1, 2), (0,)]))
            flat = [draw(st.integers(-n, max(n - 1, 0))) for _ in range(int(np.prod(form)))]
            items.append(np.array(flat, np.int64).reshape(form))
            d += 1
        elif kind == "mask":
            k = draw(st.integers(1, len(shape) - d))
            flat = draw(
                st.lists(
                    st.booleans(),
                    min_size=int(np.prod(shape[d : d + k])),
                    max_size=int(np.prod(shape[d : d + k])),
                )
            )
            items.append(np.array(flat, bool).reshape(shape[d : d + k]))
            d += k
        elif kind == "end":
            break
        elif kind == "ellipsis" and Ellipsis not in [
            k for k in items if not isinstance(k, np.ndarray)
        ]:
            items.append(Ellipsis)
            d += draw(st.integers(0, len(shape) - d))
        else:
            items.append(None if kind == "none" else draw(st.booleans()))
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


def _for(torch, index):
    lift = lambda k: torch.from_numpy(k.copy()) if isinstance(k, np.ndarray) else k
    return tuple(map(lift, index)) if isinstance(index, tuple) else lift(index)


LAYOUTS = st.sampled_from(["contiguous", "reversed", "stepped", "permuted"])
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=4).map(tuple)


@pytest.mark.parity
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), shape=SHAPES, layout=LAYOUTS)
def test_any_index_reads_as_pytorch(data, shape, layout):
    frameworks = (torch, pytest.importorskip("torch"))
    leaves = [numbered(t, shape, layout).clone().requires_grad_() for t in frameworks]
    index = data.draw(indices(tuple(leaves[1].shape)))
    reads = [
        attempt(lambda t=t, x=x: x[_for(t, index)]) for t, x in zip(frameworks, leaves, strict=True)
    ]
    what = (shape, layout, index)
    if same_error(reads[0][1], reads[1][1], what):
        return
    got, want = reads[0][0], reads[1][0]
    np.testing.assert_array_equal(got.detach().numpy(), want.detach().numpy(), str(what))
    assert type(got.grad_fn).__name__ == type(want.grad_fn).__name__, what
    if want._base is not None:
        assert comparable(geometry(got), geometry(want)), (what, geometry(got), geometry(want))
    for t, y in zip(frameworks, (got, want), strict=True):
        (
            y
            * t.from_numpy(np.cos(np.arange(float(y.numel()))).astype("f4")).reshape(tuple(y.shape))
        ).sum().backward()
    np.testing.assert_allclose(
        leaves[0].grad.numpy(), leaves[1].grad.numpy(), 1e-6, 1e-6, err_msg=str(what)
    )


@pytest.mark.parity
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), shape=SHAPES, grad=st.booleans())
def test_any_index_writes_as_pytorch(data, shape, grad):
    frameworks = (torch, pytest.importorskip("torch"))
    index = data.draw(indices(shape))
    part, error = attempt(lambda: numbered(frameworks[1], shape)[_for(frameworks[1], index)])
    form = tuple(part.shape) if error is None else ()
    cut = data.draw(st.integers(0, len(form)))
    form = data.draw(st.sampled_from([form, form[cut:], (1, *form), tuple([1] * len(form)), (2,)]))
    found = []
    for t in frameworks:
        leaf = numbered(t, shape).requires_grad_(grad)
        x = leaf * 1
        value = (
            t.from_numpy(np.sin(np.arange(float(np.prod(form)))).astype("f4"))
            .reshape(form)
            .requires_grad_(grad)
        )
        _, error = attempt(lambda t=t, x=x, value=value: x.__setitem__(_for(t, index), value))
        if error is None and grad:
            (
                x * t.from_numpy(np.cos(np.arange(float(x.numel()))).astype("f4")).reshape(shape)
            ).sum().backward()
        grads = (
            [np.zeros(g.shape) if g.grad is None else g.grad.numpy() for g in (leaf, value)]
            if grad
            else []
        )
        found.append((error, x.detach().numpy(), grads))
    what = (shape, index, form)
    if same_error(found[0][0], found[1][0], what):
        return
    np.testing.assert_array_equal(found[0][1], found[1][1], str(what))
    for got, want in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_allclose(got, want, 1e-5, 1e-6, err_msg=str(what))


# By function ------------------------------------------------------------------------------

FUNCTIONS = expressions("""
    x.gather(0,i2) x.gather(1,i2) x.gather(1,i2+9) x.gather(1,-i2-1) x.gather(0,i)
    x.gather(0,i2.float()) x.gather(0,i2.int()) x.gather(2,i2)
    x.gather(1,torch.zeros(9,1,dtype=torch.long)) s.gather(0,i[0]) x.gather(0,i2[:0])
    x.index_select(0,i) x.index_select(1,i) x.index_select(0,i+9) x.index_select(0,-i)
    x.index_select(0,i2) x.index_select(0,i[0]) x.index_select(0,i.float())
    x.index_select(-1,i.int()) s.index_select(0,i) x.take(i) x.take(i2-3) x.take(i+99)
    x.take(i.int()) torch.take_along_dim(x,i2,1) torch.take_along_dim(x,i2[:1],0)
    torch.take_along_dim(x,i) torch.take_along_dim(x,i,0) torch.take_along_dim(x,i2+9,1)
    x.scatter(0,i2,src) x.scatter(1,i2,src) x.scatter(1,i2,1.5) x.scatter(1,i2,value=2)
    x.scatter(1,i2,src,reduce='add') x.scatter(1,i2,2.,reduce='multiply')
    x.scatter(1,i2,2.,reduce='max') x.scatter(1,i2+9,1.) x.scatter(1,-i2,1.)
    x.scatter(0,i2,src[:,:1]) x.scatter(0,i2,src.double()) x.scatter(0,i,src)
    x.scatter_add(1,i2,src) x.scatter_add(0,i2*0,src) x.scatter_add_(1,i2,src)
    x.scatter_(1,i2,src) x.scatter_(0,i2,3) x.scatter_(1,i2,src,reduce='multiply')
    x.index_add(0,i,src4) x.index_add(0,i*0,src4,alpha=2) x.index_add(0,i+9,src4)
    x.index_add(0,-i,src4) x.index_add(0,i[:1],src4) x.index_add(0,i,src4[:,:2])
    x.index_add(0,i,src4.double()) x.index_add_(1,i,src4.t()[:3]) x.index_add_(0,i,src4,alpha=0.5)
    x.index_copy(0,i,src4) x.index_copy_(0,i,src4) x.index_copy_(0,i+9,src4) x.index_fill(1,i,7)
    x.index_fill_(0,-i,7) x.index_fill_(0,i+9,7) x.index_fill_(0,i,torch.tensor(5))
    x.index_fill_(0,i,torch.ones(1)) x.index_put((i,),src4)
    x.index_put((i,i),src[0,0],accumulate=True)
    x.index_put((i*0,i*0),torch.ones(2),accumulate=True) x.index_put((i,None),src4)
    x.index_put(i,src4) x.index_put_((i,),1.) x.index_put_([i],src4) x.index_put((i+9,),src4)
    x.index_put((i,i,i),src4) x.index_put((m,),torch.tensor(1.)) x.index_put((i,),src4.double())
    x.masked_fill(m,1.5) x.masked_fill(m[:1],2) x.masked_fill(m,torch.tensor(3.))
    x.masked_fill(m,torch.ones(1)) x.masked_fill(m.float(),1) x.masked_fill(m[None],2)
    x.masked_fill_(m[None],2) x.masked_fill_(m[0],2) x.masked_fill(m[:,:2],1) x.masked_fill(m,1j)
    x.long().masked_fill(m,1.7) x.byte().masked_fill(m,300) x.masked_select(m)
    x.masked_select(m[0]) x.masked_select(m.float()) x.masked_select(m[:,:2]) s.masked_select(m)
    x.masked_scatter(m,src4) x.masked_scatter(m,x.t()) x.masked_scatter(m,x.double())
    x.masked_scatter(m,src4[0,:1]) torch.where(m,x,x+1) torch.where(m,1,2) torch.where(m,1,2.)
    torch.where(m,x,2) torch.where(m,x.int(),1.5) torch.where(m,x.half(),x) torch.where(m)
    torch.where(m,x) torch.where(True,x,x) torch.where(m.float(),x,x) torch.where(m.byte(),x,x)
    torch.where(m,torch.tensor(1.,dtype=torch.float64),x) torch.where(m[:,:3],x,x) x.where(m,0)
    x.nonzero() torch.nonzero(x,as_tuple=True) torch.argwhere(x) torch.nonzero(s)
    s.nonzero(as_tuple=True) x[:0].nonzero() torch.gather(x,0,i2,out=torch.empty(0))
    torch.where(m,x,x,out=torch.empty(0)) torch.index_select(x,0,i,out=torch.empty(0))
    torch.gather(input=x,dim=0,index=i2) torch.gather(x,0) x.index_select(0)
""")


def _tables(torch, dtype="float32"):
    return {
        "x": numbered(torch, (3, 4), dtype=dtype),
        "i": torch.tensor([2, 0]),
        "s": torch.tensor(2.0),
        "src": torch.ones(3, 4),
        "i2": torch.tensor([[0, 1], [2, 0], [1, 1]]),
        "src4": torch.arange(8.0).reshape(2, 4),
        "m": torch.tensor([[True, False, True, True]] * 2 + [[False] * 4]),
    }


@pytest.mark.parity
def test_functions():
    for e in FUNCTIONS:
        check(e, _tables)


@pytest.mark.parity
@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "int64", "uint8", "bool", "complex64"]
)
def test_functions_in_other_dtypes(dtype):
    for e in expressions("""
        x.gather(1,i2) x.index_select(0,i) x.take(i) x.masked_select(m) x.nonzero() x[m] x[i,i]
        x.scatter(1,i2,1) x.index_fill(0,i,1) x.scatter_add(1,i2,x) x.index_add(0,i*0,x[:2])
        x.index_put((i*0,),x[:2],accumulate=True) torch.where(m,x,x) x.masked_fill(m,1)
        x.masked_scatter(m,x.t()) x.index_copy(0,i,x[:2]) x.scatter(1,i2,x,reduce='add')
    """):
        check(e, lambda t: _tables(t, dtype))


@pytest.mark.parity
def test_gradients_of_functions():
    x, y = np.arange(12.0).reshape(3, 4), np.arange(6.0).reshape(3, 2) - 2.5
    index = "torch.tensor([[0, 1], [2, 0], [1, 1]])"
    for e in [
        f"x.gather(1, {index})",
        f"x.gather(0, {index})",
        f"x.scatter(1, {index}, y)",
        f"x.scatter_add(1, {index}, y)",
        f"x.scatter(1, {index}, 2.0)",
        f"torch.take_along_dim(x, {index}, 1)",
        "x.take(torch.tensor([1, 1, 5]))",
        "x.index_select(1, torch.tensor([1, 1]))",
        "x.index_add(1, torch.tensor([1, 1]), y, alpha=2)",
        "x.index_copy(1, torch.tensor([3, 1]), y)",
        "x.index_fill(1, torch.tensor([1]), 2)",
        "x.masked_fill(x > 4, 1)",
        "x.masked_fill(x > 4, y.sum()) * 1",
        "x.masked_select(x > 4)",
        "x.masked_scatter(x < 6, y)",
        "torch.where(x > 4, x, y.sum())",
        "x.index_put((torch.tensor([0, 0]), torch.tensor([1, 1])), y[0], accumulate=True)",
        "x.index_put((torch.tensor([0, 2]),), y[0, :1])",
        "x.index_put((x > 3,), y[0, 0])",
    ]:
        check_gradients(e, x=x, y=y)


# Without PyTorch --------------------------------------------------------------------------


def test_two_stages():
    x = torch.arange(24).reshape(2, 3, 4)
    i = torch.tensor([0, 2])
    assert x[0, :, i].shape == (3, 2)  # an int selects first: NumPy would give (2, 3)
    assert x[:, 1, i].tolist() == [[4, 6], [16, 18]]
    assert x[i - 1, :, i].shape == (2, 3)


def test_views_share_memory_and_copies_do_not():
    x = torch.zeros(3, 4)
    x[1:][0][2] = 5
    x[[0, 1]][0] = 7
    assert x.sum() == 5


def test_errors_say_where():
    x = torch.zeros(4, 5)
    for call, error, text in [
        (lambda: x[4], IndexError, "index 4 is out of bounds for dimension 0 with size 4"),
        (lambda: x[:, [0, 7]], IndexError, "index 7 is out of bounds for dimension 1 with size 5"),
        (lambda: x[torch.tensor([True])], IndexError, r"mask \[1\] at index 0 does not match"),
        (lambda: x[[0, 1], [0, 1, 2]], IndexError, r"shapes \[2\], \[3\]"),
        (lambda: x[::-1], ValueError, "flip"),
        (
            lambda: x.__setitem__([0, 1], torch.ones(3)),
            RuntimeError,
            r"value tensor of shape \[3\].*result of shape \[2, 5\]",
        ),
        (
            lambda: x.gather(1, torch.tensor([[9]])),
            RuntimeError,
            "index 9 is out of bounds for dimension 1 with size 5",
        ),
        (lambda: x.index_select(0, torch.tensor([-1])), IndexError, "index -1"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_an_empty_tensor_is_written_unless_an_element_is_asked_for():
    t = torch.tensor
    one = t(1.0)
    for accumulate in (False, True):
        x = torch.zeros(3, 0)
        x[t([7])] = one  # PyTorch looks at no index
        x.index_put_((t([7]),), one, accumulate)
        for key in ((t([0]), t([0])), (t([7]), t([0]))):
            with pytest.raises(IndexError, match="out of bounds for dimension"):
                x[key] = one
            with pytest.raises(IndexError, match="out of bounds"):
                x.index_put_(key, one, accumulate)
        with pytest.raises(IndexError, match="could not be broadcast"):
            x[t([0, 1]), t([0, 1, 2])] = one


@pytest.mark.parametrize("index", [4, -4])
def test_an_index_out_of_bounds_adds_nothing_elsewhere(index):
    x = torch.zeros(2, 3)
    with pytest.raises(IndexError, match=f"index {index} is out of bounds for dimension 1"):
        x.index_put_((torch.tensor([0, 1]), torch.tensor([0, index])), torch.tensor(1.0), True)
    assert not x.any()


def test_a_mask_that_does_not_fit_is_refused_by_index_put_too():
    with pytest.raises(IndexError, match=r"The shape of the mask \[2\] at index 0"):
        torch.zeros(3).index_put_((torch.tensor([True, False]),), torch.tensor(1.0))


def test_writes_are_seen_by_gradients_and_by_saved_values():
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x[0] = 2
    y = x * 2
    z = y * y
    y[0] = 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_many_repeated_rows_are_added_exactly():
    rows = torch.tensor(np.random.default_rng(0).integers(-7, 7, 500))
    values = torch.tensor(np.random.default_rng(1).integers(0, 9, (500, 8)).astype("f4"))
    want = np.zeros((7, 8), "f4")
    np.add.at(want, rows.numpy(), values.numpy())
    got = torch.zeros(7, 8).index_put((rows,), values, accumulate=True)
    assert (got.numpy() == want).all()


@pytest.mark.parametrize("compiled", [False, True])
def test_an_empty_index_may_have_any_shape_and_dtype(compiled):
    index = torch.zeros(0, 4, 3)
    calls = [
        lambda x, src: x.gather(0, index),
        lambda x, src: x.scatter(0, index, src),
        lambda x, src: x.scatter(0, index, 2),
        lambda x, src: x.scatter_add(0, index, src),
        lambda x, src: x.scatter_reduce(0, index, src, "prod"),
        lambda x, src: x.scatter_reduce(0, index, src, "amax", include_self=False),
    ]
    for i, call in enumerate(calls):
        x = torch.ones(2, 3, requires_grad=True)
        found = (torch.compile(call) if compiled else call)(x, torch.ones(2, 3))
        found.sum().backward()
        assert found.shape == ((2, 3) if i else (0, 4, 3))
        assert x.grad.tolist() == [[float(i > 0)] * 3] * 2


def test_index_copy_with_another_number_of_indices_is_an_index_error():
    with pytest.raises(IndexError, match="Number of indices"):
        torch.zeros(2, 3).index_copy(0, torch.tensor([0, 1]), torch.zeros(1, 3))
    with pytest.raises(RuntimeError, match="excluding"):
        torch.zeros(2, 3).index_copy(0, torch.tensor([0, 1]), torch.zeros(1, 2))


def test_errors_of_empty_and_0_dim_tensors_have_pytorchs_types():
    none, one, number = torch.zeros(0, 2), torch.tensor([1]), torch.zeros(())
    calls = {
        RuntimeError: [
            lambda: torch.nn.functional.embedding(one, none),
            lambda: none.clone().index_fill_(0, one, 3),
            lambda: torch.zeros(3).index_add(0, one, number),
            lambda: number.bool().argmax(1),
        ],
        IndexError: [
            lambda: number.index_add(0, torch.tensor([0, 0]), number),
            lambda: number.index_add(0, one, number),
            lambda: number.index_select(1, torch.tensor([0, 0])),
        ],
    }
    for error, refused in calls.items():
        for call in refused:
            with pytest.raises(error):
                call()
    assert none.cummax(5).values.shape == (0, 2)  # PyTorch looks at no dim


def test_a_write_to_a_leaf_is_refused_before_its_mask():
    x = torch.zeros(1, 0, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x[torch.ones(1, 1).bool()] = 2


def test_shares_of_an_extremum_that_is_nan():
    x = torch.tensor([1.0, torch.nan], requires_grad=True)
    x.scatter_reduce(0, torch.tensor([1, 0]), x, "amax").sum().backward()
    assert x.grad.isnan().tolist() == [True, True]


def test_a_number_takes_many_indices_and_one_element():
    many, one = torch.zeros(3, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
    number = torch.tensor(1.0)
    assert number.scatter(0, many, 2).item() == 2
    assert number.scatter_add(0, many, torch.ones(3)).item() == 4
    assert number.scatter(0, one, torch.tensor(5.0)).item() == 5


@pytest.mark.parametrize("compiled", [False, True])
def test_a_slice_that_is_filled_twice_counts_once_for_the_value(compiled):
    fill = lambda x, value: x.index_fill(0, torch.tensor([1, 1, -2]), value)
    value = torch.tensor(5.0, requires_grad=True)
    run = torch.compile(fill) if compiled else fill
    (run(torch.zeros(3), value) * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert value.grad == 10


def test_ends_of_slices_are_numbers_and_may_be_written():
    x, i = torch.arange(5.0, requires_grad=True), torch.tensor(1)
    y, z = x[i : i + 2], x.reshape(1, 5)[:, i:]
    i.add_(3)
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [0, 1, 1, 0, 0]
    assert torch.autograd.grad(z.sum(), x)[0].tolist() == [0, 1, 1, 1, 1]
