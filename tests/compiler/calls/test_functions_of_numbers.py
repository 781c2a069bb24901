"""Functions of ``math`` get numbers that change from call to call, and one program serves them."""

import inspect
import math
from math import sqrt

import pytest

import rushlight as torch
from rushlight.compiler.capture import symbolic_numbers
from rushlight.compiler.capture.symbolic_numbers import _FUNCTIONS

ONES = torch.ones(3)
#: The number of arguments of those whose signature Python does not tell or that take any number.
_TAKEN = {"hypot": 2, "log": 1, "float": 1, "int": 1, "round": 1, "nextafter": 2}


class Counter:
    def __init__(self, function):
        self.steps, self.last, self.function = 0, None, function

    def __call__(self, x):
        self.steps += 1
        self.last = self.function(self.steps)
        return x * self.last


def results(counter, compiled, calls=7):
    """(What the calls return and leave, the number of programs)."""
    f = torch.compile(counter.__call__, fullgraph=True) if compiled else counter
    found = [(f(ONES).tolist(), counter.last, type(counter.last)) for _ in range(calls)]
    return found, f._compiled.count if compiled else None


def check(function, programs=1):
    want, _ = results(Counter(function), False)
    got, count = results(Counter(function), True)
    for (x, n, t), (y, m, u) in zip(got, want, strict=True):
        assert x == pytest.approx(y, rel=1e-6, nan_ok=True)
        assert (repr(n), t) == (repr(m), u)  # Python computes them, so they are the same bits
    assert count == programs


def arguments(function):
    taken = _TAKEN.get(function.__name__)
    return taken or len(inspect.signature(function).parameters)


@pytest.mark.parametrize("function", _FUNCTIONS.values(), ids=lambda f: f.__name__)
def test_every_function(function):
    """Each function of the table, of a number that changes, is computed again in each run."""
    name, taken = function.__name__, arguments(function)
    if name == "acosh":
        check(lambda n: function(1 + n / 16))
    elif name == "ldexp":
        check(lambda n: function(0.75, n))
    elif taken == 1:
        check(lambda n: function(n / 16))
    elif taken == 2:
        check(lambda n: function(n / 16, 0.5))
    else:
        check(lambda n: function(n / 16, 0.5, n))


def test_an_imported_function_and_several_arguments():
    check(lambda n: 0.1 * sqrt(1 - 0.999**n) / (1 - 0.9**n))
    check(lambda n: round(n / 7, 2) + round(3.7 * n))
    check(lambda n: math.atan2(n, 3) + math.pow(1.01, n) + float(int(n * 1.5)))


def test_functions_in_a_loop_and_of_functions():
    def f(n):
        total = 0.0
        for k in range(3):
            total += math.cos(math.pi * n / (k + 2))
        return 0.5 * (1 + total)

    check(f)


def test_the_function_is_whole_after_the_recording():
    results(Counter(lambda n: math.sqrt(n)), True)
    assert math.sqrt(4) == 2.0
    assert Counter(lambda n: math.sqrt(n)).function(9) == 3.0


def test_an_error_of_a_later_call_is_that_of_eager_mode():
    counter = Counter(lambda n: math.sqrt(4 - n))
    f = torch.compile(counter.__call__)
    for want in (3, 2, 1, 0):
        assert f(ONES).tolist() == pytest.approx([math.sqrt(want)] * 3)
    with pytest.raises(ValueError) as compiled:
        f(ONES)
    with pytest.raises(ValueError) as eager:
        math.sqrt(-1)
    assert str(compiled.value) == str(eager.value)
    assert counter.steps == 5


def test_names_of_the_table_are_functions_of_numbers():
    assert {"sqrt", "cos", "exp", "log"} <= {f.__name__ for f in _FUNCTIONS.values()}
    call = symbolic_numbers.function_of_numbers
    assert call(math.sqrt, [4.0]) is None  # no number changes
    numbers = symbolic_numbers.Numbers()
    number = numbers.root("{0}", None, 4.0)
    assert call(math.isnan, [number]) is None
    assert call(math.sqrt, [number])(number).value == 2.0
    assert [text for _, text, _, _ in numbers.steps] == ["{0}({1})"]


class Adam(torch.optim.Optimizer):
    """Adam as optimizers of libraries write it: the step is a Python number."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.99)})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["step"] += 1
                state["m"].lerp_(p.grad, 1 - b1)
                state["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                size = math.sqrt(1 - b2 ** state["step"]) / (1 - b1 ** state["step"])
                p.addcdiv_(state["m"], state["v"].sqrt().add_(1e-8), value=-group["lr"] * size)


def trained(compiled):
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 2)
    optimizer, x = Adam(net.parameters()), torch.randn(8, 4)

    def step():
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    step()  # makes the state
    f = torch.compile(step, fullgraph=True) if compiled else step
    losses = [f().item() for _ in range(8)]
    return losses, f._compiled.count if compiled else None


def test_a_users_optimizer_counts_its_steps():
    want, _ = trained(False)
    got, programs = trained(True)
    assert got == pytest.approx(want, rel=1e-5)
    assert programs == 1
