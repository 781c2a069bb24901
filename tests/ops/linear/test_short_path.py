"""Plain calls of products take a short path, with the results and errors of the long one."""

import numpy as np
import pytest

import rushlight as torch

CALLS = {
    "mm": [("input", (2, 3)), ("mat2", (3, 4))],
    "bmm": [("input", (2, 2, 3)), ("mat2", (2, 3, 4))],
    "mv": [("input", (2, 3)), ("vec", (3,))],
    "dot": [("input", (3,)), ("tensor", (3,))],
    "vdot": [("input", (3,)), ("other", (3,))],
    "addmm": [("input", (4,)), ("mat1", (2, 3)), ("mat2", (3, 4))],
    "addmv": [("input", (1,)), ("mat", (2, 3)), ("vec", (3,))],
    "baddbmm": [("input", (2, 1, 4)), ("batch1", (2, 2, 3)), ("batch2", (2, 3, 4))],
}


def operands(name):
    return {
        argument: torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape).requires_grad_()
        for argument, shape in CALLS[name]
    }


@pytest.mark.parametrize("name", CALLS)
def test_results_and_gradients(name):
    call, found = getattr(torch, name), []
    for short in (True, False):
        given = operands(name)
        out = call(*given.values()) if short else call(**given)
        out.sum().backward()
        found.append([out.detach(), *[x.grad for x in given.values()]])
        assert type(out.grad_fn).__name__ == type(call(**given).grad_fn).__name__
    for short, long in zip(*found, strict=True):
        assert torch.equal(short, long)


@pytest.mark.parametrize("name", CALLS)
def test_errors(name):
    first, *others = operands(name).values()
    for wrong in (others[-1][:1], others[-1].double(), others[-1][None]):
        with pytest.raises(RuntimeError):
            getattr(torch, name)(first, *others[:-1], wrong)
    with pytest.raises(TypeError):
        getattr(torch, name)(first, *others[:-1], 1.0)


def test_a_saved_operand_that_was_written_is_refused():
    x, y = torch.ones(2, 2, requires_grad=True), torch.ones(2, 2)
    out = torch.mm(x, y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified"):
        out.sum().backward()


def test_an_infinite_number_times_zero_is_nan():
    assert torch.dot(torch.zeros(1), torch.tensor([float("inf")])).isnan()


@pytest.mark.parametrize(
    "shapes", [((4,), (4, 2, 3)), ((2, 3, 4), (4,)), ((4,), (4,)), ((2, 4), (4, 3))]
)
def test_tensordot_keeps_the_dims_of_both(shapes):
    x, y = (torch.randn(*s, dtype=torch.float64) for s in shapes)
    found = torch.tensordot(x, y, dims=1)
    assert found.shape == x.shape[:-1] + y.shape[1:]
    np.testing.assert_allclose(found, np.tensordot(x.numpy(), y.numpy(), 1))
