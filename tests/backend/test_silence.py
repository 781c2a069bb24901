"""NumPy's warnings of infinities and nan: never of rushlight's lines, always of the user's."""

import sys
import warnings

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from tests import conformance as c
from tests import processes
from tests.daily import drawn
from tests.samples import SAMPLES

inf = float("inf")


def backward(function):
    """A call of ``function``, at 0, and of its gradient."""

    def call():
        x = torch.zeros(2, requires_grad=True)
        function(x - x).sum().backward()

    return call


def loaded():
    layer = torch.nn.Linear(2, 2).half()
    layer.load_state_dict({"weight": torch.full((2, 2), 1e9), "bias": torch.full((2,), 1e9)})


def attention():
    x = torch.ones(3, 1, 4)
    torch.nn.MultiheadAttention(4, 2)(x, x, x, key_padding_mask=torch.ones(1, 3) > 0)[
        0
    ].sum().backward()


def stepped(optimizer):
    def call():
        p = torch.nn.Parameter(torch.ones(3))
        p.grad = torch.tensor([inf, -inf, 1e38])
        torch.nn.utils.clip_grad_norm_([p], 1.0)
        p.grad = torch.tensor([inf, -inf, 1e38])
        optimizer([p], lr=0.1).step()

    return call


CALLS = [
    lambda: torch.tensor([1e39]), lambda: torch.as_tensor([1e39, 1.0]), lambda: torch.Tensor([1e39]),
    lambda: torch.tensor([1e5], dtype=torch.half), lambda: torch.full((4,), 6e4).half().sum(),
    lambda: torch.zeros(1).half().copy_(torch.tensor([1e9])), lambda: torch.tensor([1e300]).double().float(),
    lambda: torch.tensor([300.0]).half() ** 2, loaded, attention,
    lambda: torch.ones(1) / 0, lambda: torch.ones(1) // 0, lambda: torch.ones(1) % 0,
    lambda: torch.log(torch.zeros(3)), lambda: torch.exp(torch.tensor(1000.0)),
    lambda: torch.ones(0).mean(), lambda: torch.zeros(3, 0).softmax(1),
    lambda: F.cross_entropy(torch.zeros(0, 3), torch.zeros(0).long()),
    lambda: torch.tensor([-128], dtype=torch.int8) // -1,
    lambda: torch.nan_to_num(torch.tensor([inf]).half(), posinf=1e9),
    lambda: torch.logdet(torch.full((2, 2), inf)), lambda: torch.sinc(torch.tensor([inf])),
    *[backward(f) for f in (
        torch.sqrt, torch.log, torch.rsqrt, lambda x: x**0.5, lambda x: torch.xlogy(x, x),
        lambda x: torch.polygamma(1, x),
    )],
    *[stepped(getattr(torch.optim, name)) for name in ("SGD", "Adam", "RMSprop", "Adadelta", "Rprop")],
]  # fmt: skip


@pytest.mark.parametrize("action", ["error", "always", "default"])
def test_filters_set_after_the_import_do_not_matter(action):
    with warnings.catch_warnings(record=True) as seen:
        warnings.resetwarnings()
        warnings.simplefilter(action)
        for call in CALLS:
            call()
    assert seen == []


def test_an_import_inside_catch_warnings_is_enough():
    program = """if True:
        import warnings
        with warnings.catch_warnings():
            import rushlight
        print(rushlight.tensor([1e39]).item())
    """
    found = processes.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("inf\n", "")


def test_the_users_lines_still_warn():
    before = np.geterr()

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            np.log(g.numpy())  # here
            return g

    def hook(g):
        assert np.geterr() == before
        return torch.from_numpy(1 / g.numpy())  # here

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        np.full(2, 3e38, np.float32).sum()  # here, in a function that NumPy has in Python
        x = torch.ones(2, requires_grad=True)
        x.register_hook(hook)
        Function.apply(x * torch.zeros(2)).backward(torch.zeros(2))
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().split("\n")
    assert all(w.filename == __file__ or "_methods" in w.filename for w in seen)
    assert [w.category for w in seen] == [RuntimeWarning] * 3
    assert all("# here" in lines[w.lineno - 1] for w in seen if w.filename == __file__)
    assert np.geterr() == before


#: Of these, a loop that draws again and again never ends on nan.
_ENDLESS = ("von_mises",)
_SAMPLES = [s for s in SAMPLES.values() if not s.name.startswith(_ENDLESS)]
_TODAY = drawn(_SAMPLES, len(_SAMPLES) // 8, "silence")


def extreme(t, dtype, rng):
    """``t`` with half of its elements at the ends of their dtype."""
    if not t.is_floating_point():
        return t
    a = t.numpy()
    most, least = np.finfo(a.dtype).max, np.finfo(a.dtype).tiny
    ends = rng.choice([np.nan, inf, -inf, 0.0, -0.0, most, -most, most / 2, least, -1.0], a.shape)
    a = np.where(rng.random(a.shape) < 0.5, ends.astype(a.dtype), a)
    return torch.from_numpy(np.asarray(a)).to(dtype or t.dtype).requires_grad_()


def forward_and_backward(sample, dtype):
    rng = np.random.default_rng()
    given = [extreme(t, dtype, rng) for t in c.tensors(torch, sample)]
    outs = [o for o in c.flat(sample.call(torch, *given)) if isinstance(o, torch.Tensor)]
    roots = [o.sum() for o in outs if o.requires_grad and o.is_floating_point()]
    leaves = [t for t in given if t.requires_grad]
    if roots:
        torch.autograd.grad(roots, leaves, allow_unused=True)


@pytest.mark.parametrize("dtype", [None, torch.half])
@pytest.mark.parametrize("day", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_no_operation_warns(day, dtype):
    warned = []
    for i, sample in enumerate(_SAMPLES):
        if (i in _TODAY) is not day:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            try:
                forward_and_backward(sample, dtype)
            except RuntimeWarning as warning:
                warned.append(f"{sample.name}: {warning}")
            except Exception:  # what an operation refuses is the business of other tests
                continue
    assert warned == []
