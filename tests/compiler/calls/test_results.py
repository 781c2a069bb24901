"""What a compiled call returns is what the function returns: of the same kind, and new each time."""

import collections
import functools
import types

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn


class Found:
    def __init__(self, y):
        self.y, self.also, self.number = y, [y, {"y": y}], 3


class WithSlots:
    __slots__ = ("never", "other", "y")


class Slotted(WithSlots):  # attributes in slots, and a dict beside them
    def __init__(self, y):
        self.y, self.more = y, {}


class Named(torch.Tensor):
    pass


def test_an_object_that_the_function_made():
    f = torch.compile(lambda x: Found(x * 2), fullgraph=True)
    first, second = f(torch.ones(1)), f(torch.ones(1) * 3)
    assert type(first) is Found and (first.number, first.y.item(), second.y.item()) == (3, 2, 6)
    assert first.also[0] is first.y is first.also[1]["y"]
    g = torch.compile(lambda x: torch.distributions.Normal(x, x.exp()), fullgraph=True)
    first, second = g(torch.zeros(1)), g(torch.ones(1))
    assert (first.loc.item(), second.loc.item(), first.scale.item()) == (0, 1, 1)


def test_objects_that_refer_to_each_other():
    kept = types.SimpleNamespace(made=None)

    def f(x):
        a, b = Found(x * 2), Slotted(x * 3)
        a.other, b.other = b, a
        items = [a]
        items.append(items)
        names = {"b": b}
        names["all"] = names
        kept.made = items2 = [x * 5]
        held = collections.deque([x, b], maxlen=3)
        by_name = collections.OrderedDict(a=a, b=b)
        return a, items, names, held, by_name, (items2, {a.y, x}), {1: []}

    f = torch.compile(f, fullgraph=True)
    for k in range(3):
        x = torch.full((1,), float(k))
        a, items, names, held, by_name, (items2, either), fresh = f(x)
        b = a.other
        assert (
            type(b) is Slotted
            and b.other is a
            and (a.y.item(), b.y.item()) == (2 * k, 3 * k)
            and b.more == {}
        )
        assert items == [a, items] and items[1] is items and not hasattr(b, "never")
        assert names["b"] is b and names["all"] is names and fresh == {1: []}
        assert held.maxlen == 3 and held[0] is x and held[1] is b
        assert type(by_name) is collections.OrderedDict and [*by_name.values()] == [a, b]
        assert kept.made is items2 and items2[0].item() == 5 * k and either == {a.y, x}
        fresh[1].append(k)  # another list in each call


class Ends:
    def __init__(self, y):
        self.y = y

    def __del__(self):
        assert "y" in vars(self)


def test_no_object_ends_before_it_is_complete(monkeypatch):
    failed: list = []
    monkeypatch.setattr("sys.unraisablehook", failed.append)
    f = torch.compile(lambda x: Ends(x * 2), fullgraph=True)
    assert [f(torch.full((1,), float(k))).y.item() for k in range(3)] == [0, 2, 4]
    assert not failed


def leaves_in_a_class(x):
    class Own:
        y = x * 2

    return Own


@pytest.mark.parametrize(
    "make, use",
    [
        (leaves_in_a_class, lambda found: found.y),
        (lambda x: lambda y=x * 2: y, lambda found: found()),
        (lambda x: types.MappingProxyType({"y": x * 2}), lambda found: found["y"]),
        (lambda x: {"y": x * 2}.values(), lambda found: next(iter(found))),
    ],
)
def test_what_no_run_can_make(make, use):
    f = torch.compile(make)
    with pytest.warns(UserWarning, match="running eagerly"):
        found = [f(torch.full((1,), float(k))) for k in range(3)]
    assert [use(x).item() for x in found] == [0, 2, 4]


def test_an_object_that_was_there():
    kept = Found(torch.zeros(1))

    def f(x):
        kept.y = x * 2
        return kept

    f = torch.compile(f, fullgraph=True)
    for k in range(3):
        assert f(torch.full((1,), float(k))) is kept and kept.y.item() == 2 * k


@pytest.mark.parametrize(
    "make, use",
    [
        (lambda x: lambda: x * 2, lambda found: found()),
        (lambda x: (x * k for k in range(1, 3)), lambda found: list(found)[1]),
        (lambda x: map(torch.neg, [x, x]), lambda found: -2 * next(found)),
        (lambda x: functools.partial(torch.mul, x), lambda found: found(2)),
        (lambda x: (x * 2).clone, lambda found: found()),
    ],
)
def test_what_only_python_makes(make, use):
    f = torch.compile(make)
    with pytest.warns(UserWarning, match="returns a .* that it made"):
        found = [f(torch.full((1,), float(k))) for k in range(3)]
    assert [use(x).item() for x in found] == [0, 2, 4]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(2, requires_grad=True),
        lambda: nn.Parameter(torch.zeros(2)),
        lambda: nn.Linear(2, 1, bias=False).weight,
    ],
)
def test_leaves_that_are_made(make):
    f = torch.compile(make)
    with pytest.warns(UserWarning, match="a leaf that was made inside"):
        first, second = f(), f()
    assert first is not second and first.is_leaf and type(first) is type(make())
    (first * 2).sum().backward()
    assert first.grad.ravel().tolist() == [2, 2] and second.grad is None


def test_a_module_that_is_made():
    f = torch.compile(lambda n: nn.Linear(n, 1))
    with pytest.warns(UserWarning, match="returns a Linear that it made"):
        first, second = f(2), f(2)
    assert not torch.equal(first.weight, second.weight)


def test_inference_tensors_and_subclasses():
    @torch.inference_mode()
    def infer(x):
        return x * 2, x

    for _ in range(2):
        made, given = torch.compile(infer, fullgraph=True)(torch.ones(1))
        assert made.is_inference() and not given.is_inference()
    f = torch.compile(lambda x, y: (x * 2, y * 2, x + y), fullgraph=True)
    for _ in range(2):
        kinds = [type(t) for t in f(torch.ones(1).as_subclass(Named), torch.ones(1))]
        assert kinds == [Named, torch.Tensor, Named]


def test_result_of_a_class_with_slots():
    class Slotted(torch.Tensor):
        __slots__ = ("note",)

    f = torch.compile(lambda x: x * 2, fullgraph=True)
    for _ in range(2):
        found = f(torch.ones(1).as_subclass(Slotted))
        found.note = 3
        assert type(found) is Slotted and found.item() == 2


@pytest.mark.parametrize("f", [
    lambda x, y: x // y, lambda x, y: x % y, torch.fmod, lambda x, y: 5 // y,
    lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    lambda x, y: torch.div(x, y, rounding_mode="floor"),
])  # fmt: skip
def test_integers_divided_by_zero(f):
    compiled = torch.compile(f, fullgraph=True)
    x, y, wrong = torch.tensor([7, -7, 3]), torch.tensor([2, 3, -2]), torch.tensor([2, 0, 1])
    assert torch.equal(compiled(x, y), f(x, y))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compiled(x, wrong)
    floats = compiled(x.double(), wrong.double())
    assert torch.equal(floats.nan_to_num(9), f(x.double(), wrong.double()).nan_to_num(9))


def test_integers_divided_by_the_number_zero():
    compiled = torch.compile(lambda x, n: x // n)
    x = torch.tensor([7, -7])
    for n in (2, 3, 4):
        assert torch.equal(compiled(x, n), x // n)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compiled(x, 0)


@pytest.mark.parametrize("f", [
    lambda x: x // 0, lambda x: x % 0, lambda x: torch.fmod(x, 0), lambda x: 0 // x,
    lambda x: torch.div(x, 0, rounding_mode="trunc"),
])  # fmt: skip
def test_no_integers_are_divided_by_zero_without_an_error(f):
    x = torch.zeros(0, 2, dtype=torch.int8)
    assert torch.compile(f, fullgraph=True)(x).shape == f(x).shape == f(x.to("meta")).shape


def test_a_gradient_that_is_not_defined_raises_where_it_is_asked_for():
    x = torch.tensor(7.0, requires_grad=True)
    found = torch.compile(lambda x: x // 3, fullgraph=True)(x)
    assert found.item() == 2
    with pytest.raises(RuntimeError, match="floor_divide is not implemented"):
        found.backward()


def test_a_result_without_a_derivative_leaves_the_others_theirs():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    whole, twice, exp = torch.compile(lambda x: (x // 1, x * 2, x.exp().mul_(x)))(x)
    twice.sum().backward()
    assert x.grad.tolist() == [2, 2]
    for y, message in [
        (whole, "derivative for aten::floor_divide"),
        (exp, "modified by an inplace"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            torch.autograd.grad(y.sum(), x, retain_graph=True, allow_unused=True)


def test_a_gradient_computes_a_result_again_that_was_written():
    def pooled(x):
        return torch.nn.functional.max_pool2d(x, 2, 1).relu_()

    def gradient(function):
        x = torch.arange(-4.0, 5.0).reshape(1, 3, 3).requires_grad_()
        function(x).sum().backward()
        return x.grad.tolist()

    assert gradient(torch.compile(pooled, fullgraph=True)) == gradient(pooled)


@pytest.mark.parametrize("compiler", ["native", "numpy"])
def test_numbers_and_flipped_values(monkeypatch, compiler):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", compiler)
    low, high = torch.compile(lambda x: tuple(x.aminmax(dim=-1)))(torch.tensor(1.0))
    low.add_(1)
    assert (low.item(), high.item()) == (2.0, 1.0)
    assert torch.compile(lambda x: x.flip((0,))[3:])(torch.arange(3.0)).shape == (0,)
    x = torch.tensor(1 + 2j, requires_grad=True)
    torch.compile(lambda x: torch.view_as_real(x).sum(-1), fullgraph=True)(x).backward()
    assert x.grad.item() == 1 + 1j


@pytest.mark.parametrize("compiler", ["native", "numpy"])
def test_a_result_without_a_gradient_takes_no_part(monkeypatch, compiler):
    """As zeros its gradient would be nan where a slope is infinite, and work for nothing."""
    monkeypatch.setattr("rushlight.backend.native.COMPILER", compiler)

    def parts(x):
        y = x.sqrt()
        y = y.abs() + y.sgn()  # whose gradient is zeros, whatever comes
        first, second = (x * 2).unbind(0)
        return first, torch.stack([y[0], second]), y.sum()

    for chosen in [(0,), (1,), (0, 1), (2,), (1, 2), (0, 1, 2)]:
        slopes = []
        for f in (parts, torch.compile(parts)):
            x = torch.tensor([[1.0, 4.0], [0.0, 9.0]], requires_grad=True)
            found = f(x)
            sum([found[i].sum() * (i + 1) for i in chosen]).backward()
            slopes.append(str(x.grad.tolist()))
        assert slopes[0] == slopes[1]


@pytest.mark.filterwarnings("ignore:torch.compile. running eagerly")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.from_numpy(np.ones(2, "f4")),
        lambda: torch.as_tensor(np.ones((3, 2), "f4")[1]),
        lambda: torch.frombuffer(bytearray(8), dtype=torch.float32),
        lambda: torch.from_dlpack(np.ones(2, "f4")),
        lambda: torch.asarray(np.arange(2, dtype="f4")),
    ],
)
def test_memory_that_the_function_makes_is_new_in_each_call(make):
    def add(x):
        y = make()
        y += x
        return y, y * 1

    compiled = torch.compile(add)
    for k in range(4):
        x = torch.full((2,), float(k))
        for found, want in zip(compiled(x), add(x), strict=True):
            assert torch.equal(found, want)


def test_memory_from_outside_is_written_in_each_call():
    outer = np.zeros(3, "f4")

    @torch.compile(fullgraph=True)
    def add(x):
        y = torch.from_numpy(outer[1:])
        y += x
        return y * 1

    for k in range(1, 4):
        assert add(torch.ones(2)).tolist() == outer[1:].tolist() == [k, k]
