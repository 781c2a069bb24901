"""Classes of tensors with ``__torch_dispatch__``: what they compute, and what their handlers see."""

import copy
import io

import pytest

import rushlight as torch
from rushlight.utils import _python_dispatch
from rushlight.utils._mode_utils import no_dispatch
from rushlight.utils._pytree import tree_map
from tests import conformance as c
from tests.samples import SAMPLES


def two(t):
    """A class that wraps two tensors and computes each operation on both, in the framework ``t``."""
    correct = t.utils._python_dispatch.return_and_correct_aliasing

    class Two(t.Tensor):
        seen: list = []

        @staticmethod
        def __new__(cls, a, b, outer_size=None, outer_stride=None):
            return t.Tensor._make_wrapper_subclass(
                cls, a.size(), strides=a.stride(), storage_offset=a.storage_offset(), dtype=a.dtype,
                device=a.device, layout=a.layout, requires_grad=a.requires_grad,
            )  # fmt: skip

        def __init__(self, a, b, outer_size=None, outer_stride=None):
            self.a, self.b = a, b

        def __repr__(self):
            return f"Two({self.a.tolist()}, {self.b.tolist()})"

        def __tensor_flatten__(self):
            return ["a", "b"], None

        @staticmethod
        def __tensor_unflatten__(inner, meta, size, stride):
            return Two(inner["a"], inner["b"], size, stride)

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            part = lambda name: lambda x: getattr(x, name) if isinstance(x, cls) else x
            map_ = t.utils._pytree.tree_map
            cls.seen.append(func.overloadpacket.__name__)
            a, b = (
                func(*map_(part(name), args), **map_(part(name), kwargs or {})) for name in "ab"
            )
            wrap = lambda x, y: cls(x, y) if isinstance(x, t.Tensor) else x
            out = [*map(wrap, a, b)] if isinstance(a, (tuple, list)) else wrap(a, b)
            return correct(func, args, kwargs, out)

    return Two


#: A script, and the text of what PyTorch 2.13 gives for its last expression.
RESULTS: dict = {
    "p = torch.zeros(2, 3); p[0] = x[0]; p":
        "tensor([[1., 1., 1.],\n        [0., 0., 0.]])",
    "[type(o).__name__ for o in (x + 1, 1 + x, x @ x.t(), torch.ones(2, 3) * x, x[0], x.sum(), -x)]":
        "['Two', 'Two', 'Two', 'Two', 'Two', 'Two', 'Two']",
    "w = x.requires_grad_(); (w * w).sum().backward(); w.grad":
        "Two([[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])",
    "w = x.requires_grad_(); [(w * 2).sum().backward() for _ in '12']; w.grad":
        "Two([[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]], [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]])",
    "w = x.requires_grad_(); g, = torch.autograd.grad((w ** 3).sum(), w, create_graph=True); torch.autograd.grad(g.sum(), w)[0]":
        "Two([[0.0, 6.0, 12.0], [18.0, 24.0, 30.0]], [[6.0, 6.0, 6.0], [6.0, 6.0, 6.0]])",
    "w = x.requires_grad_(); y = w * 2; y[0].mul_(3); y.sum().backward(); w.grad":
        "Two([[6.0, 6.0, 6.0], [2.0, 2.0, 2.0]], [[6.0, 6.0, 6.0], [2.0, 2.0, 2.0]])",
    "w = x.requires_grad_(); y = w * 2; y.mul_(w); y.exp_(); y.log().sum().backward(); w.grad":
        "Two([[0.0, 4.0, 8.0], [12.0, 16.0, 20.0]], [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]])",
    "w = x.requires_grad_(); w.add_(1)":
        "raises RuntimeError",
    "w = x.requires_grad_(); y = w.exp(); y.add_(1); y.sum().backward()":
        "raises RuntimeError",
    "m = nn.Linear(3, 2); m.weight = nn.Parameter(Two(torch.ones(2, 3), torch.zeros(2, 3))); m(x).sum().backward(); type(m.weight.grad).__name__, m.weight.grad, m.bias.grad":
        "('Two', Two([[3.0, 5.0, 7.0], [3.0, 5.0, 7.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]), Two([2.0, 2.0], [2.0, 2.0]))",
    "m = nn.Linear(3, 2); w = m.weight = nn.Parameter(Two(torch.ones(2, 3), torch.zeros(2, 3))); m.double(); m.weight is w, w.dtype, w.a.dtype, isinstance(w, nn.Parameter), w.requires_grad":
        "(True, torch.float64, torch.float64, True, True)",
    "m = nn.Linear(3, 2, bias=False); m.weight = nn.Parameter(Two(torch.ones(2, 3), torch.zeros(2, 3))); n = copy.deepcopy(m); n.weight.data.mul_(2); m.load_state_dict(n.state_dict()); type(m.weight).__name__, m.weight":
        "('Two', Two([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))",
    "v = x.clone(); v[0].add_(1); v, v._version, v[0]._base is v, v[0]._is_view()":
        "(Two([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], [[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]), 1, True, True)",
    "x.clone().zero_(), x.clone().fill_(2), x.clone().copy_(x + 1)":
        "(Two([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), Two([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]), Two([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]))",
    "v = x.clone(); v[0] = 5.0; v[:, torch.tensor([0, 2])] = x[:, :2]; v":
        "Two([[0.0, 5.0, 1.0], [3.0, 4.0, 4.0]], [[1.0, 5.0, 1.0], [1.0, 1.0, 1.0]])",
    "y = x.clone(); torch.add(x, 1, out=y); y":
        "Two([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])",
    "torch.ones(2, 3).add_(x)":
        "tensor([[2., 3., 4.],\n        [5., 6., 7.]])",
    "p = nn.Parameter(x); p.data = Two(x.a * 3, x.b); isinstance(p, nn.Parameter), p":
        "(True, Two([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))",
    "copy.deepcopy(x), copy.copy(x)":
        "(Two([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]), Two([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))",
    "[type(o).__name__ for o in (torch.zeros_like(x), torch.rand_like(x), torch.full_like(x, 2), x.new_zeros(3), x.new_full((2,), 1.0), x.new_empty(1))]":
        "['Two', 'Two', 'Two', 'Two', 'Two', 'Two']",
    "float(x[0, 1]), bool(x[0, 1] > 0), x[0, 2].item(), torch.equal(x, x)":
        "(1.0, True, 2.0, True)",
    "x.tolist()":
        "raises RuntimeError",
    "x.numpy()":
        "raises RuntimeError",
    "x.is_contiguous(), x.t().is_contiguous(), x.t().stride(), x[1].storage_offset(), x.numel(), x.device.type":
        "(True, False, (1, 3), 3, 6, 'cpu')",
    "x.to(torch.float64).dtype, x.float() is x, x.to('meta').device.type":
        "(torch.float64, True, 'meta')",
    "w = x.requires_grad_(); seen = []; h = w.register_hook(lambda g: seen.append(type(g).__name__)); (w * 2).sum().backward(); seen, w.grad":
        "(['Two'], Two([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]))",
    "w = x.requires_grad_(); (w * 9).sum().backward(); n = nn.utils.clip_grad_norm_([w], 1.0); type(n).__name__, type(w.grad).__name__":
        "('Two', 'Two')",
    "D = torch.utils._python_dispatch; D.is_traceable_wrapper_subclass(x), D.is_traceable_wrapper_subclass(x.a), D.transform_subclass(x, lambda name, value: value * 2)":
        "(True, False, Two([[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]))",
    "b = io.BytesIO(); torch.save([x, x], b); b.seek(0); y, z = torch.load(b, weights_only=False); y is z, y":
        "(True, Two([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))",
    "b = io.BytesIO(); torch.save(nn.Parameter(x), b); b.seek(0); y = torch.load(b, weights_only=False); isinstance(y, nn.Parameter), y.requires_grad":
        "(True, True)",
    "type(nn.MultiheadAttention(3, 1)(x, x, x)[0]).__name__, type(nn.BatchNorm1d(3)(x)).__name__, type(nn.Softmax(-1)(x)).__name__":
        "('Two', 'Two', 'Two')",
    "torch.utils.checkpoint.checkpoint(lambda a: a * 2, x.requires_grad_(), use_reentrant=False).requires_grad":
        "True",
    "o = Two(x, x) * 2; type(o.a).__name__, o.a":
        "('Two', Two([[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]], [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]))",
    "torch.Tensor._make_subclass(nn.Parameter, x)":
        "raises RuntimeError",
    "torch.Tensor._make_wrapper_subclass(nn.Parameter, (2,))":
        "raises TypeError",
    "p = nn.Parameter(Two(torch.ones(2), torch.zeros(2))); o = torch.optim.SGD([p], lr=0.1); [((p - 2) ** 2).sum().backward() or o.step() for _ in '123']; [round(v, 4) for v in (*p.a.tolist(), *p.b.tolist())], [type(s).__name__ for s in o.state[p].values()]":
        "([2.008, 2.008, 2.016, 2.016], [])",
    "p = nn.Parameter(Two(torch.ones(2), torch.zeros(2))); o = torch.optim.SGD([p], lr=0.1, momentum=0.9); [((p - 2) ** 2).sum().backward() or o.step() for _ in '123']; [round(v, 4) for v in (*p.a.tolist(), *p.b.tolist())], [type(s).__name__ for s in o.state[p].values()]":
        "([2.638, 2.638, 3.276, 3.276], ['Two'])",
    "p = nn.Parameter(Two(torch.ones(2), torch.zeros(2))); o = torch.optim.Adam([p], lr=0.1); [((p - 2) ** 2).sum().backward() or o.step() for _ in '123']; [round(v, 4) for v in (*p.a.tolist(), *p.b.tolist())], [type(s).__name__ for s in o.state[p].values()]":
        "([1.2937, 1.2937, 0.293, 0.293], ['Tensor', 'Two', 'Two'])",
    "p = nn.Parameter(Two(torch.ones(2), torch.zeros(2))); o = torch.optim.AdamW([p], lr=0.1, foreach=True); [((p - 2) ** 2).sum().backward() or o.step() for _ in '123']; [round(v, 4) for v in (*p.a.tolist(), *p.b.tolist())], [type(s).__name__ for s in o.state[p].values()]":
        "([1.2904, 1.2904, 0.2927, 0.2927], ['Tensor', 'Two', 'Two'])",
    "p = nn.Parameter(Two(torch.ones(2), torch.zeros(2))); o = torch.optim.RMSprop([p], lr=0.1); [((p - 2) ** 2).sum().backward() or o.step() for _ in '123']; [round(v, 4) for v in (*p.a.tolist(), *p.b.tolist())], [type(s).__name__ for s in o.state[p].values()]":
        "([2.912, 2.912, 2.4957, 2.4957], ['Tensor', 'Two'])",
    "p = nn.Parameter(Two(torch.ones(2), torch.zeros(2))); o = torch.optim.Adagrad([p], lr=0.1); [((p - 2) ** 2).sum().backward() or o.step() for _ in '123']; [round(v, 4) for v in (*p.a.tolist(), *p.b.tolist())], [type(s).__name__ for s in o.state[p].values()]":
        "([1.2669, 1.2669, 0.2683, 0.2683], ['Tensor', 'Two'])",
}  # fmt: skip


def result(t, script):
    Two = two(t)
    Two.__module__, Two.__qualname__ = __name__, "Two"  # where pickle finds it
    globals()["Two"] = Two
    names = {"torch": t, "nn": t.nn, "Two": Two, "copy": copy, "io": io}
    names["x"] = Two(t.arange(6.0).view(2, 3), t.ones(2, 3))
    *lines, last = script.split("; ")
    try:
        exec("\n".join(lines), names)
        return str(eval(last, names))
    except (RuntimeError, TypeError) as error:
        return "raises " + next(
            k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins"
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", RESULTS)
def test_scripts(script):
    assert result(torch, script) == RESULTS[script]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", RESULTS)
def test_scripts_in_pytorch(script):
    assert result(pytest.importorskip("torch"), script) == RESULTS[script]


#: A call, and the operators that PyTorch 2.13 shows to the handler.
SEEN = {
    "x + y": ["add"], "x @ y.t()": ["t", "mm"], "F.linear(x, y)": ["t", "mm"], "x[0]": ["select"],
    "F.linear(x, y, y[:, 0])": ["select", "t", "addmm"], "x[:, 1:]": ["slice"], "x[0, 1]": ["select", "select"],
    "x[..., None]": ["unsqueeze"], "x[i]": ["index"], "x.double()": ["_to_copy"], "x.T": ["permute"],
    "x.detach()": ["detach"], "x.data": ["detach"], "torch.zeros_like(x)": ["zeros_like"], "x.max()": ["max"],
    "x.split(1)": ["split"], "x.split([1, 1])": ["split_with_sizes"], "x.unbind(1)": ["unbind"],
    "x.add_(y)": ["add_"], "x.zero_()": ["zero_"], "x.copy_(y)": ["copy_"], "x.relu_()": ["relu_"],
    "x.reshape(-1)": ["view"], "x.normal_()": ["normal_"], "x[0, 0].item()": ["select", "select", "_local_scalar_dense"],
    "x.index_put_((i,), y)": ["index_put_"], "x.new_ones(2)": ["new_ones"], "x.gather(1, i[None])": ["gather"],
    "nn.Parameter(x)": ["detach"], "torch.cat([x, y])": ["cat"], "x.sort()": ["sort"],
}  # fmt: skip


def seen(t, call):
    Two = two(t)
    x, y = (Two(t.ones(2, 3), t.ones(2, 3)) for _ in range(2))
    Two.seen.clear()
    eval(
        call, {"torch": t, "nn": t.nn, "F": t.nn.functional, "x": x, "y": y, "i": t.tensor([0, 1])}
    )
    return Two.seen


@pytest.mark.parametrize("call", SEEN)
def test_operators_that_handlers_see(call):
    assert seen(torch, call) == SEEN[call]


@pytest.mark.parity
@pytest.mark.parametrize("call", SEEN)
def test_operators_that_handlers_see_in_pytorch(call):
    assert seen(pytest.importorskip("torch"), call) == SEEN[call]


# Whose turn it is ---------------------------------------------------------------------------


class Memory(torch.Tensor):
    """Has elements, which ``super`` computes with."""

    seen: list = []

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        cls.seen.append((str(func), types, torch.is_grad_enabled()))
        return super().__torch_dispatch__(func, types, args, kwargs or {})


def test_a_class_with_memory():
    Memory.seen.clear()
    x = torch.arange(3.0).as_subclass(Memory)
    assert type(x) is Memory and type(x + 1) is torch.Tensor
    assert Memory.seen == [("aten.add.default", (Memory,), False)]
    assert (x * 2).tolist() == [0, 2, 4] and torch.exp(x)[0] == 1
    assert x.add_(1) is x and (x * 1).tolist() == [1, 2, 3] and x._version == 1
    with no_dispatch():
        assert (x + 1).tolist() == [2, 3, 4] and x.sum().item() == 6
    y = torch.ones(3, requires_grad=True)
    (x * y).sum().backward()
    assert y.grad.tolist() == [1, 2, 3]
    x.data = torch.zeros(3)
    assert type(x) is Memory and (x + 0).tolist() == [0, 0, 0]
    x.set_(torch.ones(2))
    assert type(x) is Memory and (x + 0).tolist() == [1, 1]
    assert copy.deepcopy(x).shape == (2,) and type(copy.deepcopy(x)) is Memory
    with pytest.raises(RuntimeError, match="already associated"):
        x.as_subclass(torch.nn.Parameter)


def test_handlers_that_decline_and_their_order():
    order = []

    class Base(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            order.append(cls.__name__)
            return NotImplemented

    class Derived(Base):
        pass

    x, y = (torch.Tensor._make_wrapper_subclass(k, (2,)) for k in (Base, Derived))
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch._ops.aten.add"):
        torch.add(x, y)
    assert order == ["Derived", "Base"]
    with pytest.raises(TypeError):
        torch.cat([torch.ones(2), x])
    assert Base.__torch_function__ is torch._C._disabled_torch_function_impl
    for read in (x.untyped_storage, lambda: torch.from_numpy(x._array.data)):
        with pytest.raises((RuntimeError, TypeError)):
            read()
    assert torch.Tensor._make_wrapper_subclass(Base, (10**12,)).shape == (10**12,)  # no memory


def test_a_mode_comes_first_and_may_decline():
    Two = two(torch)
    calls = []

    class Mode(_python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append([t.__name__ for t in types])
            return NotImplemented if types else func(*args, **(kwargs or {}))

    x = Two(torch.ones(2), torch.ones(2))
    with Mode():
        assert str(x.exp() * 0) == "Two([0.0, 0.0], [0.0, 0.0])"
    assert calls == [["Two"], [], [], ["Two"], [], []]


def test_autograd_inside_of_a_handler():
    class Inner(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            out = tree_map(lambda a: a.elem if isinstance(a, cls) else a, args)
            with torch.overrides.enable_reentrant_dispatch():
                made = func(*out, **(kwargs or {}))
            found = torch.Tensor._make_wrapper_subclass(cls, made.shape)
            found.elem = made
            return found

    w = torch.ones(2, requires_grad=True)
    x = torch.Tensor._make_wrapper_subclass(Inner, (2,))
    x.elem = w
    y = x * 3
    assert not y.requires_grad and y.elem.requires_grad
    y.elem.sum().backward()
    assert w.grad.tolist() == [3, 3]
    with torch.no_grad():
        assert not (x * 3).elem.requires_grad


def test_nothing_is_left_when_the_last_tensor_is_gone():
    from rushlight.autograd import mode

    def use():
        x = two(torch)(torch.ones(2), torch.ones(2)).requires_grad_()
        assert mode.intercept > 0
        (x * x).sum().backward()

    before = mode.intercept
    use()
    assert mode.intercept == before  # by reference counts alone: there are no cycles


def test_operators_in_place_write():
    x = torch.zeros(2)
    assert torch.ops.aten.exp_.default(x) is x and x.tolist() == [1, 1]


def test_operators_of_libraries_and_hooks():
    @torch.library.custom_op("test_handlers::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    twice.register_autograd(lambda ctx, g: g * 2)
    Two = two(torch)
    x = Two(torch.ones(2), torch.zeros(2)).requires_grad_()
    kept = []
    pack = lambda t: kept.append(type(t)) or t
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = twice(x) * x
    y.sum().backward()
    assert "twice" in Two.seen and {*kept} == {Two}
    assert repr(x.grad) == "Two([4.0, 4.0], [0.0, 0.0])"


def test_custom_functions_save_tensors_of_the_class():
    kinds = []

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x**2
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            kinds.extend(map(type, (x, y, g)))
            return 2 * x * g

    Two = two(torch)
    x = Two(torch.ones(2), torch.zeros(2)).requires_grad_()
    Square.apply(x).sum().backward()
    assert kinds == [Two, Two, Two] and repr(x.grad) == "Two([2.0, 2.0], [0.0, 0.0])"


def test_compiled_functions_leave_handlers_alone():
    x = two(torch)(torch.ones(2), torch.zeros(2))
    doubled = torch.compile(lambda a: a * 2, fullgraph=True)
    assert repr(doubled(x)) == "Two([2.0, 2.0], [0.0, 0.0])"
    with pytest.raises(torch.errors.TraceError, match="__torch_dispatch__"):
        torch.compile(lambda a: a * x, fullgraph=True)(torch.ones(2))


# All operations -----------------------------------------------------------------------------


def wrapper(memory):
    """A class that computes as plain tensors do; with ``memory`` it has elements."""

    class Same(torch.Tensor):
        @classmethod
        def of(cls, t, requires_grad=False):
            if memory:
                return torch.Tensor._make_subclass(cls, t, requires_grad)
            found = torch.Tensor._make_wrapper_subclass(
                cls, t.shape, dtype=t.dtype, strides=t.stride(), requires_grad=requires_grad,
                storage_offset=t.storage_offset(),
            )  # fmt: skip
            found.elem = t
            return found

        def plain(self):
            return torch.from_numpy(self._array.data) if memory else self.elem

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            if memory:
                out = super().__torch_dispatch__(func, types, args, kwargs)
            else:
                bare = lambda a: a.elem if isinstance(a, cls) else a
                out = func(*tree_map(bare, args), **tree_map(bare, kwargs or {}))
            wrap = lambda o: cls.of(o) if type(o) is torch.Tensor else o
            return tree_map(wrap, out)

    return Same


@pytest.mark.slow
@pytest.mark.parametrize("memory", [False, True])
def test_every_operation_as_on_plain_tensors(memory):
    Same = wrapper(memory)
    failed = []
    for s in SAMPLES.values():
        if s.name in ("von_mises", "resize_as_"):  # they read numbers, or choose strides
            continue
        try:
            wanted = c.run(torch, s), c.gradients(torch, s) if s.grad else ()
        except NotImplementedError:
            continue
        try:
            torch.manual_seed(0)
            found = c.flat(s.call(torch, *map(Same.of, c.tensors(torch, s))))
            back: tuple = ()
            if s.grad:
                tensors = c.tensors(torch, s, requires_grad=True)
                given = [Same.of(t.detach(), t.requires_grad) for t in tensors]
                outs, seeds = c._seeded(torch, s, given, None)
                ends = [t for t in given if t.requires_grad]
                back = torch.autograd.grad(outs, ends, map(Same.of, seeds), allow_unused=True)
            for a, b in zip([*found, *back], [*wanted[0], *wanted[1]], strict=True):
                if isinstance(b, torch.Tensor):
                    a = a.plain() if isinstance(a, Same) else a
                    torch.testing.assert_close(
                        a.detach(), b.detach(), equal_nan=True, rtol=1e-4, atol=1e-5
                    )
        except Exception as error:
            failed.append(f"{s.name}: {type(error).__name__} {str(error)[:150]}")
    assert not failed, "\n".join(failed)
