"""A backward that comes after the compiled call writes to tensors: it writes in each backward."""

import warnings

import pytest

import rushlight as torch


class Adding(torch.autograd.Function):
    """Twice the input; the backward adds the gradient to ``buffer``."""

    @staticmethod
    def forward(ctx, x, buffer):
        ctx.buffer = buffer
        return x * 2

    @staticmethod
    def backward(ctx, g):
        ctx.buffer += g
        return ctx.buffer * 2, None


class Leaving(torch.autograd.Function):
    """Twice the input, and a buffer that the backward writes."""

    @staticmethod
    def forward(ctx, x):
        ctx.factor, ctx.buffer = x * 3, x.new_zeros(3)
        ctx.mark_non_differentiable(ctx.buffer)
        return x * 2, ctx.buffer

    @staticmethod
    def backward(ctx, g, _):
        ctx.buffer.add_(g)
        ctx.factor.mul_(g)
        return ctx.factor + ctx.buffer


def written_too(x, buffer):
    buffer.fill_(1.0)
    return Adding.apply(x.sin(), buffer).cos()


def by_a_hook(x, buffer):
    y = x * 2
    y.register_hook(lambda g: buffer.add_(g))
    return y * 3


def by_a_view(x, buffer):
    y = x * 2
    y.register_hook(lambda g: [buffer[1:].mul_(2).add_(g[1:]), None][1])
    return y * buffer.sum()


def to_the_gradient(x, buffer):
    y = x * 2
    y.register_hook(lambda g: g.clone().mul_(2))
    return y * 3


WAYS = [
    Adding.apply, lambda x, buffer: Leaving.apply(x), written_too, by_a_hook, by_a_view,
    to_the_gradient,
]  # fmt: skip


def steps(function, inside):
    """Results, gradients and the buffer of four calls with their backward."""
    buffer, found = torch.zeros(3), []

    def step(x):
        made = function(x, buffer)
        y = made[0] if type(made) is tuple else made
        y.sum().backward()
        return made

    for i in range(4):
        x = torch.full((3,), float(i), requires_grad=True)
        if inside:
            made = torch.compile(step)(x) if inside == "compiled" else step(x)
        else:
            made = torch.compile(function)(x, buffer)
            (made[0] if type(made) is tuple else made).sum().backward()
        found += [*(made if type(made) is tuple else [made]), x.grad, buffer.clone()]
    return [t.detach() for t in found]


@pytest.mark.parametrize("function", WAYS)
@pytest.mark.parametrize("inside", ["compiled", False])
def test_as_in_eager_mode(function, inside):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = steps(function, inside)
    for mine, right in zip(found, steps(function, "eager"), strict=True):
        torch.testing.assert_close(mine, right)
    texts = {str(w.message) for w in told}
    assert not any("no native code" in text for text in texts)
    late = not inside and function is not to_the_gradient
    assert any("the backward writes to a tensor" in text for text in texts) == late
