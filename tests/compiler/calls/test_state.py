"""What a compiled call leaves behind: memory, aliases, random streams, and nothing on failure."""

import threading

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F


def both(build, calls=3):
    """What ``build`` observes after each of some calls, eagerly and compiled."""
    found = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, fullgraph=True)):
        torch.manual_seed(1)
        function, arguments, observe = build()
        function = wrap(function)
        seen = []
        for k in range(calls):
            given = arguments(k)
            seen.append([t.detach().numpy().copy() for t in observe(given, function(*given))])
        found.append(seen)
    return found


def same(build, calls=3):
    want, found = both(build, calls)
    for a, b in zip(want, found, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-6, strict=True)


# Writes -------------------------------------------------------------------------------------

WRITES = {
    "a row": lambda w, x: w[1].add_(x),
    "a column": lambda w, x: w.t()[2].copy_(x[:3]),
    "a slice": lambda w, x: w[:, ::2].mul_(0.5),
    "a view of a view": lambda w, x: w.view(-1)[3:9].view(2, 3)[:, 1].sub_(x[:2]),
    "a diagonal": lambda w, x: w.diagonal().fill_(7.0),
    "an index": lambda w, x: w.__setitem__((torch.tensor([0, 2]), torch.tensor([1, 1])), x[:2]),
    "a mask": lambda w, x: w.masked_fill_(w > 0, -1.0),
    "data": lambda w, x: w.data.clamp_(-0.2, 0.2),
    "overlapping": lambda w, x: w[1:].copy_(w[:-1] + x),
    "twice": lambda w, x: (w[0].add_(1.0), w.t()[0].mul_(2.0), w[0, 0].add_(w[0, 1])),
    "rows in turn": lambda w, x: [row.add_(i) for i, row in enumerate(w)],
    "its own rows, reversed": lambda w, x: w.copy_(w.flip(0)),
    "its own first row": lambda w, x: w.copy_(w[:1].clone()),
    "an init": lambda w, x: nn.init.normal_(w[1:]),
    "a swap": lambda w, x: w[[0, 1]].copy_(w[[1, 0]]),
}


@pytest.mark.parametrize("write", WRITES)
def test_writes_through_views_of_parameters_land(write):
    def build():
        layer = nn.Linear(4, 3)

        def step(x):
            before = layer.weight.sum()
            with torch.no_grad():
                WRITES[write](layer.weight, x)
            return before, layer.weight.sum() + layer(x).sum()

        return (
            step,
            lambda k: [torch.full((4,), k + 0.5)],
            lambda _, out: [*out, *layer.parameters()],
        )

    same(build)


def test_buffers_are_kept_and_replaced():
    class Averages(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3, momentum=0.3)
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("seen", torch.tensor(0))
            self.register_buffer("last", torch.zeros(3))

        def forward(self, x):
            self.mean.lerp_(x.mean(0), 0.1)
            self.seen += len(x)
            self.last = x[-1] * 2
            return self.norm(x) + self.mean + self.last

    def build():
        net = Averages()
        return net, lambda k: [torch.randn(5, 3) + k], lambda _, out: [out, *net.buffers()]

    same(build)


VIEWS = {
    "arguments": lambda x, y: (x.mul_(2), y.view(-1)[1:3].zero_(), x.sum() + y.sum()),
    "a view given": lambda x, y: (x[0].reshape(-1).add_(1.0), x[0].exp()),
    "read after the write": lambda x, y: (x.t().add_(1.0), x * 1, x[0] * y),
    "one into the other": lambda x, y: (x[0].copy_(y), y.add_(x[1]), x.sum()),
}


@pytest.mark.parametrize("case", VIEWS)
def test_writes_to_arguments_that_are_views(case):
    def build():
        base = torch.arange(12.0).reshape(4, 3)
        other = torch.arange(6.0)

        def function(x, y):
            return VIEWS[case](x, y)

        arguments = lambda k: (base[1:3], other[k : k + 3])
        return function, arguments, lambda given, out: [base, other, *out]

    same(build)


@pytest.mark.filterwarnings("ignore:torch.compile. running eagerly")
@pytest.mark.parametrize("order", [1, -1])
def test_arguments_that_share_memory(order):
    def function(x, y):
        x.mul_(2)
        y.add_(1)
        return x.sum(), y.sum()

    def observed(f):
        base = torch.arange(4.0)
        apart = f(*(torch.ones(4), torch.ones(2))[::order])  # a call without any overlap first
        return [t.tolist() for t in (*apart, *f(*(base, base[1:3])[::order]), base)]

    assert observed(torch.compile(function)) == observed(function)


# Results ------------------------------------------------------------------------------------

ALIASES = {
    "an argument": lambda x, state: x,
    "a view of an argument": lambda x, state: x[1:],
    "a written argument": lambda x, state: x.add_(1),
    "a view of a written argument": lambda x, state: x.add_(1).t(),
    "state": lambda x, state: state,
    "a view of state": lambda x, state: state.view(-1),
    "a view of written state": lambda x, state: state.add_(1)[0],
    "a copy": lambda x, state: x.t().clone(),
    "a view of a result": lambda x, state: (x * 2)[0],
}


@pytest.mark.parametrize("case", ALIASES)
def test_results_share_memory_as_eager_ones_do(case):
    found = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, fullgraph=True)):
        state = torch.arange(4.0).reshape(2, 2)
        function = wrap(lambda x, state=state: ALIASES[case](x, state))
        for _ in range(2):
            x = torch.ones(2, 2)
            y = function(x)
            same_object = y is x, y is state
            y.fill_(5.0)
            found.append((same_object, y.shape, x.tolist(), state.tolist()))
    assert found[:2] == found[2:]


def test_two_results_of_one_memory():
    def function(x):
        y = x * 2
        return y, y[0], y.t(), y

    for wrap in (lambda f: f, torch.compile):
        a, row, turned, again = wrap(function)(torch.ones(2, 2))
        row.zero_()
        assert turned.tolist() == [[0.0, 2.0], [0.0, 2.0]] and again is a


def test_a_result_keeps_its_memory_from_call_to_call():
    function = torch.compile(lambda x: x * 2)
    kept = [function(torch.full((1000,), float(k))) for k in range(4)]
    assert [t[0].item() for t in kept] == [0.0, 2.0, 4.0, 6.0]


# Random numbers -----------------------------------------------------------------------------

DRAWS = [
    lambda: torch.rand(5), lambda: torch.randn(3), lambda: torch.randn(17), lambda: torch.randn(40),
    lambda: torch.randint(0, 9, (4,)), lambda: torch.randperm(6), lambda: torch.empty(7).uniform_(2, 3),
    lambda: torch.bernoulli(torch.full((5,), 0.3)), lambda: F.dropout(torch.ones(9), 0.4),
    lambda: torch.normal(0.0, 2.0, (3,)), lambda: torch.zeros(2, 3).normal_(), lambda: torch.rand(3).double(),
    lambda: torch.randn(2, dtype=torch.float64), lambda: torch.multinomial(torch.ones(5), 2),
    lambda: torch.empty(4).exponential_(), lambda: nn.init.xavier_uniform_(torch.empty(3, 3)),
]  # fmt: skip


def test_the_random_stream_goes_on_as_after_an_eager_call():
    def everything():
        unused = [draw() for draw in DRAWS]  # draws that nothing depends on happen too
        return [draw() for draw in DRAWS], len(unused)

    compiled = torch.compile(everything, fullgraph=True)
    for seed in (1, 2):
        seen = []
        for function in (everything, compiled):
            torch.manual_seed(seed)
            results, _ = function()
            seen.append([*results, torch.randn(3), torch.rand(1)])
        for x, y in zip(*seen, strict=True):
            assert torch.equal(x, y)


def test_generators_of_ones_own():
    def build():
        own = torch.Generator().manual_seed(3)

        def function(x):
            return x + torch.rand(3, generator=own) + torch.rand(3)

        return (
            function,
            lambda k: [torch.full((3,), float(k))],
            lambda _, out: [out, own.get_state()],
        )

    same(build)


# Failures -----------------------------------------------------------------------------------


def training():
    """A training step with every kind of state, and a picture of that state."""
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    opt = torch.optim.Adam(net.parameters(), lr=0.1)
    count = torch.tensor(0)

    def step(x, y):
        count.add_(1)
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    def picture():
        # What the optimizer has made but not yet used is as good as not made.
        own = [v for p in opt.state.values() for v in p.values() if v.any()]
        grads = [p.grad for p in net.parameters()]
        found = [*net.state_dict().values(), count, *own, *grads]
        return [None if t is None else t.detach().numpy().tolist() for t in found]

    return step, picture


@pytest.mark.parametrize("calls_before", [0, 1, 2])
@pytest.mark.parametrize(
    "x, y, error",
    [
        ((5, 4), [0, 1, 2, 3, 0], IndexError),  # a target out of range
        ((5, 3), [0, 1, 2, 0, 0], RuntimeError),  # a shape that does not fit, known in the trace
        ((5, 4), [0, 1, 2, 0], ValueError),  # the same, after batch statistics were taken
        ((1, 4), [0], ValueError),  # batch normalisation of one sample
    ],
)
def test_a_failure_leaves_what_eager_leaves(x, y, error, calls_before):
    good = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])

    def states(make):
        torch.manual_seed(0)
        step, picture = training()
        step = make(step)
        for _ in range(calls_before):
            step(*good)
        with pytest.raises(error):
            step(torch.ones(x), torch.tensor(y))
        failed = _flat(picture())
        step(*good)
        return failed, _flat(picture())

    found = states(lambda f: torch.compile(f, fullgraph=True))
    for have, want in zip(found, states(lambda f: f), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-6)


def _flat(tree):
    if isinstance(tree, list):
        return [x for branch in tree for x in _flat(branch)]
    return [] if tree is None else [tree]


def test_an_exception_of_the_user_leaves_what_eager_leaves():
    state = torch.zeros(2)
    w = torch.ones(2, requires_grad=True)

    @torch.compile
    def function(x, fail):
        state.add_(x)
        (w * x).sum().backward()
        if fail:
            raise KeyError("mine")
        return state * 2

    for k in (1, 3):
        with pytest.raises(KeyError, match="mine") as raised:
            function(torch.ones(2), True)
        assert raised.traceback[-1].name == "function" and raised.value.__context__ is None
        assert state.tolist() == [k] * 2 and w.grad.tolist() == [k] * 2
        assert function(torch.ones(2), False).tolist() == [2.0 * (k + 1)] * 2
        assert w.grad.tolist() == [k + 1.0] * 2


def test_what_raises_only_while_it_is_recorded():
    """A function that knows Python's own types only gives its result, with a warning."""

    def f(x):
        if torch.compiler.is_compiling():
            raise ValueError("not now")
        return x + 1

    with pytest.warns(
        UserWarning, match="ValueError, which the function itself does not raise: not now"
    ):
        assert torch.compile(f)(torch.ones(1)).item() == 2
    with pytest.raises(ValueError, match="not now"):
        torch.compile(f, fullgraph=True)(torch.ones(1))


# The outer graph, and other threads ---------------------------------------------------------


def test_the_outer_graph_keeps_its_ways_and_its_hooks():
    """A gradient that arrives by two ways, through leaves and results with hooks."""
    seen = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, fullgraph=True)):
        w = torch.tensor([2.0, 3.0], requires_grad=True)
        calls = []
        w.register_hook(lambda g, calls=calls: calls.append("w") or g * 2)
        function = wrap(lambda x, w=w: x * w)
        for _ in range(2):
            w.grad = None
            x = w * 3  # w is reached through x too
            x.register_hook(lambda g, calls=calls: calls.append("x") or g * 10)
            function(x).sum().backward()
            seen.append((w.grad.tolist(), calls[:]))
    assert seen[:2] == seen[2:]


def test_history_of_written_outer_tensors():
    def build():
        w = torch.tensor([1.0, 2.0], requires_grad=True)

        def function(x):
            x.mul_(w)
            return x.exp()

        def observe(given, out):
            w.grad = None
            (out.sum() + given[0].sum()).backward()
            return [given[0], out, w.grad]

        return function, lambda k: [torch.full((2,), k + 0.5)], observe

    same(build)


def test_two_threads_call_one_function():
    net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
    compiled = torch.compile(net)
    inputs = [torch.randn(n, 8) for n in (2, 3, 5, 7)]
    want = [net(x).detach().numpy() for x in inputs]
    start = threading.Barrier(2)
    failures = []

    def work():
        start.wait()
        for k in range(60):
            i = k % len(inputs)
            found = compiled(inputs[i]).detach().numpy()
            if not np.allclose(found, want[i], rtol=1e-4, atol=1e-6):
                failures.append((k, found))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert compiled._compiled.count == len(inputs)


# A call that fails after it drew ----------------------------------------------------------

_OWN = torch.Generator()


def an_index(x, i):
    return torch.rand(2) + x[i]


def an_index_that_is_drawn(x, i):
    return x[torch.randint(0, 4, (2,))] + torch.randn(1)


def a_factor(x, i):
    x.add_(1)
    return torch.rand(2, 2) * torch.linalg.cholesky(torch.eye(2) * (1 - i))


def a_sample(x, i):
    return torch.rand(2) + torch.multinomial(x * (1 - i), 1)


def a_generator_of_its_own(x, i):
    return torch.rand(2, generator=_OWN) + torch.randn(1) + x[i]


def _streams(function):
    """What calls give or raise, of which some fail, and what each leaves in the streams."""
    torch.manual_seed(3)
    _OWN.manual_seed(4)
    found = []
    for i in (0, 0, 5, 5, 0, 5, 0, 0):
        x = torch.ones(2)
        try:
            found.append(function(x, torch.tensor(i)).tolist())
        except (IndexError, RuntimeError) as error:
            found.append(type(error))
        found += [x.tolist(), torch.rand(1).item(), torch.rand(1, generator=_OWN).item()]
    return found


@pytest.mark.parametrize("compiler", ["native", "numpy"])
@pytest.mark.parametrize(
    "function", [an_index, an_index_that_is_drawn, a_factor, a_sample, a_generator_of_its_own]
)
def test_a_failure_leaves_streams_where_eager_mode_leaves_them(function, compiler, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", compiler)
    want = _streams(function)
    assert any(isinstance(x, type) for x in want)
    assert _streams(torch.compile(function)) == want
