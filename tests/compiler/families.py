"""One small call for every family of kernels, of any width: what is run where memory must hold.

A family is ``function(width, dtype)``; it gives the function to compile and its arguments.
"""

import rushlight as torch
from rushlight.nn import functional as F

__all__ = ["DTYPES", "FAMILIES", "fits"]

FLOATS = {"float32", "float64", "bfloat16", "float16"}
INTEGERS = {"int8", "int16", "int32", "int64", "uint8"}
DTYPES = [*sorted(FLOATS), *sorted(INTEGERS), "bool"]
ROWS = 5

#: Family → (the dtypes that it takes, the function).
FAMILIES: dict = {}
#: What to do with a tensor that a family keeps itself, as optimizers do with parameters.
placed = lambda x: x


def family(dtypes):
    def add(function):
        FAMILIES[function.__name__] = dtypes, function
        return function

    return add


def fits(name, dtype):
    """Whether the family takes the dtype."""
    return dtype in FAMILIES[name][0]


EVERY, NUMBERS = set(DTYPES), FLOATS | INTEGERS


def numbers(*shape, dtype):
    """Few different small numbers, the same at each call."""
    count = 1
    for n in shape:
        count *= n
    x = (torch.arange(count) * 7 % 23 - 11).reshape(shape) / 4
    return x.to(getattr(torch, dtype))


def window(width, dtype, left):
    """A part of the columns of a matrix."""
    x = numbers(ROWS, width + 3, dtype=dtype)
    return x[:, :width] if left else x[:, 3:]


# Loops ------------------------------------------------------------------------------------


@family(EVERY)
def copy(width, dtype):
    def call(left, right, x):
        left.copy_(x)
        right.copy_(x)

    left, right = window(width, dtype, True), window(width, dtype, False)
    return call, [left, right, numbers(ROWS, width, dtype=dtype)]


@family(EVERY)
def arithmetic(width, dtype):
    def call(x, y, row, column):
        z = x + y * row
        return z, z + column, x == y, torch.where(x > y, x, row)

    parts = numbers(width, dtype=dtype), numbers(ROWS, 1, dtype=dtype)
    return call, [numbers(ROWS, width, dtype=dtype), window(width, dtype, True), *parts]


@family(EVERY)
def cast(width, dtype):
    def call(x):
        return [(x + x).to(getattr(torch, other)) for other in DTYPES]

    return call, [numbers(ROWS, width, dtype=dtype).relu() if dtype in NUMBERS else
                  numbers(ROWS, width, dtype=dtype)]  # fmt: skip


@family(EVERY)
def turned(width, dtype):
    def call(x, y):
        return x.t() + y, x.flip(1), x.roll(1, 1), torch.cat([x, x], 1)

    return call, [numbers(ROWS, width, dtype=dtype), numbers(width, ROWS, dtype=dtype)]


@family(EVERY)
def flat(width, dtype):
    return (lambda x, y: (x + y, x[1:], x.reshape(-1, 1) + y[:2])), [
        numbers(width + 1, dtype=dtype), numbers(width + 1, dtype=dtype)]  # fmt: skip


@family(EVERY)
def strided(width, dtype):
    def call(x, to):
        to.copy_(x + x)
        return x * 1

    return call, [
        numbers(ROWS, 2 * width, dtype=dtype)[:, 1::2],
        numbers(width, ROWS, dtype=dtype).t(),
    ]


@family(EVERY)
def few_apart(width, dtype):
    def call(x, y):
        return [*[x[:, k - 1 :: k] ^ y if dtype == "bool" else x[:, k - 1 :: k] + y for k in
                  (3, 4) if x.shape[1] == k * width], x.flip(1)[:, ::2]]  # fmt: skip

    step = 3 + width % 2
    return call, [numbers(ROWS, step * width, dtype=dtype), numbers(width, dtype=dtype)]


@family(EVERY)
def padded(width, dtype):
    def call(x, y):
        by_one = F.pad(x, (1, 0, 0, 1)), F.pad(x, (-1, 1)), F.pad(y, (1, 1), value=1)
        return *by_one, F.pad(x.t(), (2, 1, 1, 0)), F.pad(x[:, ::2], (1, 1))

    return call, [numbers(ROWS, width, dtype=dtype), numbers(width, dtype=dtype)]


@family(EVERY)
def indexed(width, dtype):
    def call(x, index, to):
        to.scatter_(1, index, x)
        return (
            x.gather(1, index),
            x.index_select(0, index[0, :1] % ROWS),
            x.index_select(1, index[0]),
        )

    index = torch.arange(ROWS * width).reshape(ROWS, width) * 5 % width
    return call, [numbers(ROWS, width, dtype=dtype), index, window(width, dtype, False)]


@family(NUMBERS)
def added(width, dtype):
    def call(x, index, to):
        to.scatter_add_(1, index, x)
        return torch.zeros_like(x).index_add(0, index[:, 0] % ROWS, x)

    index = torch.arange(ROWS * width).reshape(ROWS, width) * 5 % width
    return call, [numbers(ROWS, width, dtype=dtype), index, window(width, dtype, False)]


# Rows -------------------------------------------------------------------------------------


@family(FLOATS)
def rows(width, dtype):
    def call(x, w):
        return (
            x.softmax(1), F.layer_norm(x, (width,), w, w), F.log_softmax(x, 1), x.softmax(0),
        )  # fmt: skip

    return call, [numbers(ROWS, width, dtype=dtype), numbers(width, dtype=dtype)]


@family(FLOATS)
def row_gradients(width, dtype):
    def call(x, w):
        x = x.detach().requires_grad_()
        loss = F.layer_norm(x.softmax(1), (width,), w).square().sum() + x.logsumexp(1).sum()
        (g,) = torch.autograd.grad(loss, x)
        return g

    return call, [numbers(ROWS, width, dtype=dtype), numbers(width, dtype=dtype)]


@family(NUMBERS)
def reductions(width, dtype):
    def call(x):
        return x.sum(1), x.amax(1), x.amin(0), x.sum(0), x.prod(1), x.sum(), (x > 0).any(1)

    return call, [numbers(ROWS, width, dtype=dtype)]


@family(NUMBERS)
def extrema(width, dtype):
    return (lambda x: (x.argmax(1), x.argmin(0), *x.max(1))), [numbers(ROWS, width, dtype=dtype)]


@family(NUMBERS)
def scans(width, dtype):
    return (lambda x: (x.cumsum(1), x.cumsum(0), x.cumprod(1))), [numbers(ROWS, width, dtype=dtype)]


# Contractions -----------------------------------------------------------------------------


@family(FLOATS)
def products(width, dtype):
    def call(x, y, bias):
        return F.relu(y @ x + bias), x @ x.t(), x.t() @ x, (x.t() @ y.t()) * 2

    return call, [
        numbers(ROWS, width, dtype=dtype), numbers(7, ROWS, dtype=dtype), numbers(width, dtype=dtype)
    ]  # fmt: skip


@family(FLOATS)
def batched_products(width, dtype):
    def call(x, y):
        return torch.bmm(x, y), torch.bmm(y, x), x.transpose(1, 2) @ y.transpose(1, 2)

    return call, [numbers(3, 4, width, dtype=dtype), numbers(3, width, 4, dtype=dtype)]


@family(FLOATS)
def convolution(width, dtype):
    def call(x, w, bias):
        x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
        y = F.conv2d(x, w, bias, padding=1)
        return y, *torch.autograd.grad(y.square().sum(), (x, w))

    shape = numbers(1, 2, 4, width, dtype=dtype), numbers(3, 2, 3, 3, dtype=dtype)
    return call, [*shape, numbers(3, dtype=dtype)]


@family(FLOATS)
def strided_convolution(width, dtype):
    def call(x, w):
        x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
        y = F.conv1d(x, w, stride=2, padding=2, groups=2)
        return y, *torch.autograd.grad(y.square().sum(), (x, w))

    return call, [numbers(2, 4, width, dtype=dtype), numbers(6, 2, 3, dtype=dtype)]


@family(FLOATS)
def channels(width, dtype):
    """As many channels as the width, of few places."""

    def call(x, w):
        x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
        y = F.conv2d(x, w)
        return y, *torch.autograd.grad(y.square().sum(), (x, w))

    return call, [numbers(1, 2, 3, 3, dtype=dtype), numbers(width, 2, 2, 2, dtype=dtype)]


@family(FLOATS)
def pooling(width, dtype):
    def call(x):
        x = x.detach().requires_grad_()
        y = F.max_pool2d(x, 2, padding=1), F.avg_pool2d(x, (2, 3), stride=1, padding=1)
        y = *y, F.adaptive_avg_pool2d(x, (3, 3)), F.max_pool1d(x[0], 3, 2, padding=1)
        (g,) = torch.autograd.grad(sum([part.square().sum() for part in y]), x)
        return *y, g

    return call, [numbers(1, 2, 4, width, dtype=dtype)]


@family(FLOATS)
def attention(width, dtype):
    def call(q, k, v):
        q, k, v = [x.detach().requires_grad_() for x in (q, k, v)]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y, *torch.autograd.grad(y.square().sum(), (q, k, v))

    shapes = (1, 33, 8), (1, 32 + width, 8), (1, 32 + width, 5)
    return call, [numbers(*shape, dtype=dtype) for shape in shapes]


@family(FLOATS)
def attention_heads(width, dtype):
    def call(q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v, mask)

    shapes = (2, 32, width), (2, 35, width), (2, 35, width), (2, 32, 35)
    return call, [numbers(*shape, dtype=dtype) for shape in shapes]


# Optimizers -------------------------------------------------------------------------------


@family(FLOATS)
def optimizers(width, dtype):
    w = [placed(numbers(width, dtype=dtype)).requires_grad_() for _ in range(2)]
    steps = [
        torch.optim.Adam(w[:1], lr=0.01), torch.optim.SGD(w[1:], lr=0.01, momentum=0.9),
    ]  # fmt: skip

    def call(x):
        for step in steps:
            step.zero_grad()
        loss = (w[0] * x).square().sum() + (w[1] + x).square().sum()
        loss.backward()
        for step in steps:
            step.step()
        return loss

    return call, [numbers(width, dtype=dtype)]
