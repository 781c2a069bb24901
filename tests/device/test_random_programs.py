"""Random small programs: eager and compiled on a device, they give what the CPU gives.

A seed is a program: each step takes tensors that are there and makes another one, or writes to one.
"""

import warnings

import pytest

import rushlight as T
from rushlight import nn
from tests.daily import daily

F = nn.functional
_STEPS: list = []


def step(f):
    """``f(draw, x, y)``: x and y are tensors (N, M) with N and M from 2 to 7; so is the result."""
    _STEPS.append(f)
    return f


class Draw:
    """A generator of choices in plain Python, which a trace records; ``random`` is not recorded."""

    def __init__(self, seed):
        self.state = seed

    def choice(self, options):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return options[(self.state >> 33) % len(options)]


def _either(draw, *calls):
    return draw.choice(calls)()


@step
def elementwise(draw, x, y):
    y = y[: x.shape[0], :1]
    y = y if y.shape[0] == x.shape[0] else y[:1]
    return _either(
        draw, lambda: x * y.sigmoid(), lambda: (x - y).tanh(), lambda: F.gelu(x) + 0.5 * y,
        lambda: x.abs().add(1).log(), lambda: x.maximum(y), lambda: x.where(x > y, y),
        lambda: x.clamp(-1, 1.5) / (1 + y * y), lambda: x.sin().lerp(y, 0.3),
        lambda: (x.exp() / x.exp().sum()), lambda: x.addcmul(x, y, value=0.1),
    )  # fmt: skip


@step
def view(draw, x, y):
    n, m = x.shape
    return _either(
        draw, lambda: x.t(), lambda: x.flip(0), lambda: x[:, ::2].repeat(1, 2), lambda: x.roll(1, 1),
        lambda: x.reshape(m, n), lambda: x[1:].repeat_interleave(2, 0)[:7],
        lambda: x.unsqueeze(0).expand(2, n, m)[1], lambda: x[[1, 0]], lambda: x.narrow(0, 0, 2),
        lambda: x.unfold(1, 2, 1).sum(-1).repeat(1, 2)[:, :7], lambda: x.diagonal().outer(x[0])[:7],
        lambda: T.cat([x, x.cos()], 1)[:, :7], lambda: T.stack([x[0], x[-1], x.mean(0)]),
    )  # fmt: skip


@step
def reduction(draw, x, y):
    dim = draw.choice([0, 1])
    return _either(
        draw, lambda: x - x.mean(dim, keepdim=True), lambda: x.softmax(dim), lambda: x.cumsum(dim) / 3,
        lambda: x / (1 + x.std(dim, keepdim=True)), lambda: x - x.logsumexp(dim, True),
        lambda: x * x.amax(dim, True).tanh(), lambda: F.layer_norm(x, x.shape[1:]),
        lambda: x.norm(dim=dim, keepdim=True).expand(x.shape), lambda: x.var(dim, keepdim=True) + x,
        lambda: F.normalize(x, dim=dim), lambda: x.logcumsumexp(dim) / 3,
        lambda: x.median(dim, True)[0] + x, lambda: x.cummax(dim)[0],
    )  # fmt: skip


@step
def order(draw, x, y):
    dim = draw.choice([0, 1])
    return _either(
        draw, lambda: x.sort(dim)[0], lambda: x.topk(2, dim)[0], lambda: x.gather(dim, x.argsort(dim)),
        lambda: x.take_along_dim(x.argmax(dim, True), dim).expand(x.shape),
        lambda: x.kthvalue(2, dim, True)[0] - x, lambda: x.scatter(dim, x.argsort(dim), x),
        lambda: x.index_select(dim, x.argmin(dim).clamp(max=1)[:2]),
        lambda: x.index_add(dim, T.arange(2), x.narrow(dim, 0, 2)),
        lambda: x.masked_fill(x > 1, 0.5), lambda: F.embedding((x[0] > 0).long(), x),
        lambda: x.scatter_reduce(dim, x.argsort(dim), x.cos(), "amax"),
    )  # fmt: skip


@step
def write(draw, x, y):
    x = x.clone()

    def to(place, value):
        x[place] = value
        return x

    return _either(
        draw, lambda: x.mul_(0.5).add_(x.detach().cos()), lambda: to(0, 2.0), lambda: to(x < 0, 0.1),
        lambda: to((slice(None), 1), y[0, 0]), lambda: to(T.tensor([1, 0]), x[:2].detach() * 2),
        lambda: x.masked_fill_(x > 1, -1), lambda: (x[:, 0].add_(1), x)[1], lambda: x.t().tanh_(),
        lambda: (x.view(-1)[1:3].mul_(3), x)[1], lambda: x.copy_(x.detach().flip(1) * 0.5),
        lambda: (x.fill_diagonal_(0.3), x)[1],
    )  # fmt: skip


@step
def numbers(draw, x, y):
    return _either(
        draw, lambda: F.dropout(x, 0.4), lambda: x + T.rand_like(x), lambda: x * T.bernoulli(x.sigmoid()),
        lambda: x[x.abs().add(0.1).multinomial(2)[0]], lambda: x + T.randn(x.shape[1]),
        lambda: x[T.randperm(x.shape[0])], lambda: x + T.randint(0, 3, x.shape),
        lambda: x + T.empty_like(x).exponential_(), lambda: x[:, x[0].sigmoid().multinomial(3, True)],
    )  # fmt: skip


@step
def product(draw, x, y):
    n, m = x.shape
    return _either(
        draw, lambda: x @ x.t() / m, lambda: T.einsum("ij,kj->ki", x, x) / m,
        lambda: F.scaled_dot_product_attention(x[None], x[None], x.sin()[None], is_causal=True)[0],
        lambda: F.conv1d(x[None], x[:, None, :2], padding=1, groups=n)[0, :, :7],
        lambda: F.max_pool1d(x[None], 2, 1)[0].repeat(1, 2)[:, :7],
        lambda: F.conv2d(x[None, None], x[None, None, :2, :2], padding=1)[0, 0, :7, :7] / 4,
        lambda: F.avg_pool2d(x[None, None], 3, 1, 1)[0, 0],
        lambda: F.interpolate(x[None, None], (5, 4), mode="bilinear")[0, 0],
        lambda: T.linalg.solve(x @ x.t() + 3 * T.eye(n), x),
    )  # fmt: skip


@step
def halves(draw, x, y):
    kind = draw.choice([T.float16, T.bfloat16])
    z = x.to(kind)
    return _either(
        draw, lambda: (z * 2 + 1).float(), lambda: z.softmax(1).float(), lambda: (z @ z.t()).float() / 8,
        lambda: (z.sum(0) / 4 + x), lambda: F.layer_norm(z, z.shape[1:]).float(), lambda: z.tanh() * x,
    )  # fmt: skip


def _calls(seed, *given):
    """The tensors that the program ``seed`` makes of ``given``, and their sum."""
    draw = Draw(seed)
    there = [t * 1 for t in given]
    for _ in range(draw.choice([2, 3, 4, 5, 6, 7])):
        x, y = draw.choice(there), draw.choice(there)
        there.append(draw.choice(_STEPS)(draw, x, y))
        assert there[-1].ndim == 2 and min(there[-1].shape) >= 2, there[-1].shape
    made = there[len(given) :]
    return *made, sum((t.float() * t.float().detach().cos()).mean() for t in made)


def _run(seed, d, call=_calls):
    """The results of a program and the gradients of what it was given, on the CPU."""
    T.manual_seed(seed)
    given: list = [T.randn(3, 5), T.randn(4, 4)]
    given = [t.to(d).requires_grad_() for t in given]
    with T.device(d):
        try:
            found = call(seed, *given)
        except (IndexError, RuntimeError, ValueError) as error:
            return type(error)
        found[-1].backward()
    return [t.detach().cpu() for t in found] + [t.grad.cpu() for t in given if t.grad is not None]


@pytest.mark.parametrize("seed", daily(range(600), 3, "random programs on devices"))
def test_programs(device, seed):
    want = _run(seed, T.device("cpu"))
    compiled = T.compile(_calls, fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in (_calls, compiled):
            got = _run(seed, device, call)
            if isinstance(want, type):
                assert got is want
                continue
            assert len(got) == len(want)
            for g, w in zip(got, want, strict=True):
                T.testing.assert_close(g, w, rtol=2e-2, atol=2e-2, equal_nan=True)
