"""The short paths of small calls give what the long ones give, and refuse what these refuse."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import accumulate
from rushlight.backend.address import address
from rushlight.ops.linear import einsum
from rushlight.strides import LARGE, copied

F = torch.nn.functional


def numbers(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "bhid,bhjd->bhij", "ijk,kl->lij", "ab,ab->", "abc,cb->a", "ab,cb"]
)
def test_a_plan_of_einsum_computes_the_equation(monkeypatch, equation):
    sizes = dict(zip("abcdhijkl", (2, 3, 4, 5, 3, 4, 5, 6, 2), strict=True))
    operands = equation.split("->")[0].split(",")
    given = [numbers(*[sizes[c] for c in term], seed=k) for k, term in enumerate(operands)]
    given = [t.requires_grad_() for t in given]
    found = torch.einsum(equation, *given)
    slopes = torch.autograd.grad(found.sum(), given)
    monkeypatch.setattr(einsum, "_one_product", lambda *_: None)
    wanted = torch.einsum(equation, *given)
    assert found.stride() == wanted.stride()
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(slopes, torch.autograd.grad(wanted.sum(), given))


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_points_without_gradients_are_sampled_as_those_with(mode, padding):
    image, points = numbers(2, 3, 4, 5), numbers(2, 3, 2, 2, seed=1) * 1.5
    points[0, 0, 0, 0] = torch.nan
    found = F.grid_sample(image, points, mode, padding, align_corners=False)
    wanted = F.grid_sample(image, points.requires_grad_(), mode, padding, align_corners=False)
    np.testing.assert_array_equal(found.numpy(), wanted.detach().numpy())


@pytest.mark.parametrize("values", [[3, 1, 3, 2], [2.0, np.nan, 5.0, 5.0], [1.0, 4.0, 2.0, 3.0]])
def test_topk_and_sort_of_vectors_are_those_of_a_row(values):
    x = torch.tensor(values)
    for call in (lambda t: torch.topk(t, 2), lambda t: torch.sort(t, descending=True)):
        for vector, row in zip(call(x), call(x[None]), strict=True):
            np.testing.assert_array_equal(vector.numpy(), row[0].numpy())


def test_sums_at_a_few_indices_are_those_at_many(monkeypatch):
    rows, columns = np.array([[0, 1], [0, -1]]), np.array([[2, 2], [2, 0]])
    values = np.arange(4, dtype=np.float32).reshape(2, 2)
    few, many = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    accumulate.add_at(few, (rows, columns), values)
    monkeypatch.setattr(accumulate, "_MANY", 0)
    accumulate.add_at(many, (rows, columns), values)
    np.testing.assert_array_equal(few, many)


def test_numbers_that_equal_ints_are_refused_after_the_ints_were_taken():
    x, w = numbers(1, 1, 4, 4), numbers(1, 1, 2, 2)
    F.conv2d(x, w, stride=(1, 1))
    F.max_pool2d(x, (2, 2))
    with pytest.raises(TypeError):
        F.conv2d(x, w, stride=(1.0, 1.0))
    with pytest.raises(TypeError):
        F.max_pool2d(x, (2.0, 2.0))


def test_large_turned_matrices_are_copied():
    x = np.arange(4 * (LARGE // 4 + 75)).reshape(-1, 4)[:, :3]
    for turned in (x.T, x[::-1].T, np.stack([x, x + 1]).mT):
        np.testing.assert_array_equal(copied(turned), turned)
        assert copied(turned).flags.c_contiguous


def test_a_bound_of_zero_keeps_the_sign_of_zero_in_large_tensors():
    x = torch.full((5000,), -0.0)
    assert x.clamp(min=0).signbit().all() and x.clamp(0, 1).signbit().all()


def test_addresses_are_numpys():
    for a in (np.zeros(3), np.zeros((4, 4))[1:, 2:], np.zeros(0), np.zeros((), "i2")):
        assert address(a) == a.ctypes.data


def test_views_by_default_and_by_name_are_those_by_position():
    x = numbers(3, 4, 5).requires_grad_()
    for found, wanted in (
        (x.diagonal(), x.diagonal(0, 0, 1)),
        (x.diagonal(dim2=2, offset=1), x.diagonal(1, 0, 2)),
        (x.transpose(dim1=0, dim0=2), x.transpose(2, 0)),
        (x.unfold(size=2, step=2, dimension=1), x.unfold(1, 2, 2)),
    ):
        assert found.grad_fn.name() == wanted.grad_fn.name()
        assert found.view_of.path == wanted.view_of.path
        np.testing.assert_array_equal(found.detach().numpy(), wanted.detach().numpy())
    for call in (lambda: x.diagonal(True), lambda: x.unfold(0, 2.0, 1), lambda: x.transpose(0)):
        with pytest.raises(TypeError):
            call()


def test_clones_keep_the_order_of_dims():
    x = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    for found, wanted in ((x.clone(), x), (x.clone(memory_format=torch.contiguous_format), x[:])):
        wanted = wanted if found.stride() == x.stride() else wanted.contiguous()
        assert found.stride() == wanted.stride() and found.grad_fn.name() == "CloneBackward0"
        assert (found + found).stride() == (wanted + wanted).stride()


@pytest.mark.parametrize("number", [0.0, -0.0, 2, float("inf"), float("nan")])
def test_where_with_a_number_is_that_of_a_full_tensor(number):
    x = numbers(3, 4).requires_grad_()
    full = torch.full((3, 4), number)
    for found, wanted in (
        (torch.where(x > 0, x, number), torch.where(x > 0, x, full)),
        (torch.where(x > 0, number, x), torch.where(x > 0, full, x)),
    ):
        assert found.dtype is torch.float32
        np.testing.assert_array_equal(found.detach().numpy(), wanted.detach().numpy())
        slopes = [torch.autograd.grad(y.sum(), x)[0].numpy() for y in (found, wanted)]
        np.testing.assert_array_equal(*slopes)


def test_where_refuses_numbers_beyond_the_dtype():
    for x in (torch.ones(2), torch.ones(2, 2).t()):
        with pytest.raises(RuntimeError, match="without overflow"):
            torch.where(x > 0, x, 1e300)
        assert torch.where(x > 0, x.double(), 1e300).dtype is torch.float64
    assert torch.where(torch.ones(1) < 0, torch.ones(1).half(), 1e300).isinf().all()


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_outer_products_of_a_long_and_a_short_vector(columns):
    x, y = numbers(1500), numbers(columns, seed=1)
    found = torch.outer(x, y)
    assert found.is_contiguous()
    np.testing.assert_array_equal(found.numpy(), np.multiply.outer(x.numpy(), y.numpy()))


@pytest.mark.parametrize("dtype", ["f4", "c8", "u1", "c16"])
@pytest.mark.parametrize("shape", [(3001, 3), (1200, 2, 5), (700, 16), (9000,), (2, 3, 2500),
                                   (5, 603, 3), (8, 1100), (3, 2, 1501, 1, 2)])  # fmt: skip
def test_large_tensors_are_flipped(shape, dtype):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    last = len(shape) - 1
    some = (0,), (last,), (last // 2,), (0, last // 2)
    for dims in (
        *map(tuple, map(set, some)),
        tuple(range(last)),
        tuple(range(last + 1)),
        tuple({0, last}),
    ):
        found = torch.from_numpy(x).flip(dims)
        np.testing.assert_array_equal(found.numpy(), np.flip(x, dims))


def test_integers_and_a_number_give_what_two_tensors_give():
    x = torch.tensor([[3, -4, 0], [7, 1, 2**40]]).t()
    for number in (2, -3, 0, 2**62):
        other = torch.tensor(number)
        for name in ("add", "sub", "mul", "eq", "ne", "lt", "ge", "bitwise_and"):
            call = getattr(torch, name)
            found, wanted = call(x, number), call(x, other)
            assert torch.equal(found, wanted) and found.dtype is wanted.dtype
            assert found.stride() == wanted.stride()
