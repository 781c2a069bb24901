"""Small functions over changing state that the search found: each compiled call is the eager one.

A maker gives a function and the changes between its calls.
"""

import argparse
import collections
import copy
import functools
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.compiler.python.frames import available
from tests import processes

pytestmark = pytest.mark.skipif(not available(), reason="frames cannot be read here")


class Plain:
    pass


def a_method_under_another_name():
    class Callable:
        def __call__(self):
            return 1.0

    called = Callable()

    def change(n):
        Callable.__call__ = lambda self: n

    return lambda x: x * called(), [lambda: change(2.0), lambda: change(3.0)]


def a_context_under_another_name():
    class Context:
        def __enter__(self):
            return 1.0

        def __exit__(self, *error):
            pass

    context = Context()

    def f(x):
        with context as n:
            return x * n

    def change(n):
        Context.__enter__ = lambda self: n

    return f, [lambda: change(2.0), lambda: change(3.0)]


def an_attribute_ahead_of_getattr():
    class Forwarding:
        def __getattr__(self, name):
            return 2.0

    owner = Forwarding()
    return lambda x: x * owner.k, [
        lambda: setattr(owner, "k", 3.0),
        lambda: delattr(owner, "k"),
        lambda: setattr(Forwarding, "k", 5.0),
    ]


def a_getattr_that_came_later():
    class Absent:
        pass

    absent = Absent()

    def f(x):
        try:
            return x * absent.k
        except AttributeError:
            return x

    def change():
        Absent.__getattr__ = lambda self, name: 6.0

    return f, [change, lambda: setattr(Absent, "k", 3.0)]


def a_property_that_came_later():
    class Owner:
        k = 2.0

    owner = Owner()

    def f(x):
        owner.k = (x * 2).sum()
        return x

    return f, [lambda: None, lambda: setattr(Owner, "k", property(lambda self: 1.5))]


def another_setter():
    class Owner:
        @property
        def k(self):
            return self._k

        @k.setter
        def k(self, value):
            self._k = value

    owner = Owner()

    def f(x):
        owner.k = 0.5
        return x * 2

    return f, [lambda: setattr(Owner, "k", property(lambda self: 1.5))]


def another_base():
    class Teacher:
        def k(self):
            return 2.0

    class Pupil(Teacher):
        def k(self):
            return super().k()

    pupil = Pupil()

    def change():
        Pupil.__bases__ = (type("Tutor", (), {"k": lambda self: -1.0}),)

    return lambda x: x * pupil.k(), [change]


def another_dict_of_attributes():
    owner = Plain()
    owner.k = 1

    def f(x):
        owner.k = 5
        return x * next(v for name, v in vars(owner).items() if name == "k"), owner.k

    def change():
        owner.__dict__ = {"k": 3}

    return lambda x: (*f(x), owner.__dict__["k"]), [change]


def attributes_that_are_entries():
    class Easy(dict):
        __getattr__ = dict.__getitem__
        __setattr__ = dict.__setitem__

    easy = Easy(k=2)

    def f(x):
        easy.k = easy.k + 1
        return x * easy.k

    return f, [lambda: easy.update(k=7)]


def a_chain_of_dicts():
    first, second = {}, {"k": 2.0}
    chain = collections.ChainMap(first, second)

    def f(x):
        v = next(value for name, value in chain.items() if name == "k")
        chain["j"] = v * 2
        return x * v

    return f, [
        lambda: second.update(k=1.5),
        lambda: second.update(k=None),
        lambda: first.update(k=4.0),
    ]


def entries_of_a_counter():
    counter = collections.Counter(k=2)
    del counter["k"]

    def f(x):
        counter["k"] = len(repr(counter))
        return x * counter["k"]

    return f, [counter.clear]


def entries_that_are_made():
    made = collections.defaultdict(lambda: 4.0, k=torch.ones(2))

    def f(x):
        v = {**made}["k"]
        made["k"] = x
        return x * v

    return f, [lambda: made.pop("k"), lambda: made.update(k=torch.zeros(2))]


def an_entry_that_is_set_twice():
    ordered = collections.OrderedDict(other=1)

    def f(x):
        v = ordered.setdefault("k", 1.0)
        ordered["k"] = v * 0.5
        return x * v

    return f, [lambda: ordered.pop("k")]


def an_attribute_of_a_metaclass():
    class Meta(type):
        k = 3.0

    class Owner(metaclass=Meta):
        pass

    def f(x):
        v = Owner.__dict__.get("k", 1.0)
        Owner.k = v + 1
        return x * Owner.k

    return f, [lambda: None, lambda: delattr(Owner, "k")]


def a_cache_that_is_emptied():
    seen = []

    @functools.lru_cache(maxsize=2)
    def noted(a):
        seen.append(a)
        return float(len(seen))

    return lambda x: x * noted(3), [noted.cache_clear, lambda: noted(4), noted.cache_clear]


def a_function_for_each_type():
    @functools.singledispatch
    def dispatched(a):
        return 1.0

    return lambda x: x * dispatched(1), [
        lambda: None,
        lambda: dispatched.register(int)(lambda a: 5.0),
    ]


def a_copy_of_a_namespace():
    given = types.SimpleNamespace(k=2.0)
    return lambda x: x * copy.copy(given).k, [lambda: setattr(given, "k", 3.0)]


def a_weak_reference_that_dies():
    alive = [argparse.Namespace()]
    reference = weakref.ref(alive[0])
    counter = [0]

    def f(x):
        counter[0] += 1
        return x * 2 if reference() is None else -x

    return f, [lambda: None, alive.clear]


def an_assertion_about_what_dies():
    alive = [argparse.Namespace()]
    reference = weakref.ref(alive[0])

    def f(x):
        assert reference() is None
        return x * 2

    return f, [alive.clear]


def what_is_read_of_an_object_that_dies():
    alive = [Plain()]
    alive[0].k = 3.0
    reference = weakref.ref(alive[0])

    def f(x):
        found = reference()
        return -x if found is None else x * found.k

    return f, [lambda: setattr(alive[0], "k", 4.0), alive.clear]


def a_class_that_is_exchanged():
    class Elder:
        k = 7.0

    class Younger(Elder):
        pass

    owner = Younger()

    def change(n):
        owner.__class__ = type("Other", (Younger,), {"k": n})

    return lambda x: x * owner.k, [lambda: change(2.0), lambda: change(-1.0)]


def a_copy_that_makes_entries():
    made = collections.defaultdict(lambda: 1.0)

    def change():
        made.default_factory = lambda: 4.0

    return lambda x: x * copy.copy(made)["k"], [change]


def the_dict_of_a_parameter():
    weight = nn.Parameter(torch.ones(2))
    weight.k = torch.relu
    return lambda x: weight.__dict__.get("k")(x), [lambda: setattr(weight, "k", torch.neg)]


def an_attribute_of_a_thread():
    """Its entry and the attribute are one place; appending has the call run eagerly."""
    local, kept = threading.local(), []
    local.k = 1.0

    def f(x):
        v = sum(vars(local).values())
        kept.append(x * 2)
        local.k = v * 0.5
        return x * v

    return f, [lambda: None, lambda: setattr(local, "k", 3)]


def the_state_of_a_hook():
    state, module = [torch.ones(2, dtype=torch.float64)], nn.Tanh()
    module.register_forward_hook(lambda m, args, out: out * state[0])

    def f(x):
        return x * 2 if module(torch.ones(2)).dtype == torch.float32 else -x

    return f, [lambda: state.__setitem__(0, torch.ones(2))]


MAKERS = [
    v for v in [*globals().values()] if isinstance(v, types.FunctionType) and v is not available
]


def outcome(f, x):
    try:
        found = f(x)
    except Exception as error:
        return type(error)
    return [getattr(v, "tolist", lambda v=v: v)() for v in found if v is not None]


@pytest.mark.filterwarnings("ignore:torch.compile")
@pytest.mark.parametrize("make", MAKERS)
def test_a_compiled_call_is_the_eager_one(make):
    runs = []
    for compiled in (False, True):
        f, changes = make()
        f = torch.compile(f) if compiled else f
        runs.append([outcome(f, torch.ones(2))])
        for change in changes:
            change()
            runs[-1].append(outcome(f, torch.ones(2)))
    assert runs[0] == runs[1]


# Gradients ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:torch.compile")
def test_backward_through_the_graph_of_an_argument():
    """Another graph in each call, so that no program holds for it."""
    w = torch.ones(2, requires_grad=True)
    calls = [0]

    def f(x):
        calls[0] += 1
        (w * x).sum().backward()
        return w * 2

    g = torch.compile(f)
    for made in (lambda x: x * 2, lambda x: x.exp(), lambda x: x * x):
        x = torch.full((2,), 3.0, requires_grad=True)
        made(x).sum().backward()
        want, x.grad = x.grad, None
        g(made(x))
        assert torch.equal(x.grad, want)


@pytest.mark.filterwarnings("ignore:torch.compile")
def test_hooks_on_an_argument_that_came_later():
    w = torch.ones(2, requires_grad=True)

    def f(x, given):
        (w * x * given).sum().backward()

    g, x, given = torch.compile(f), torch.ones(2), torch.ones(2, requires_grad=True)
    g(x, given)
    g(x, given)
    given.register_hook(lambda g: g * 3)
    g(x, given)
    assert given.grad.tolist() == [5, 5]


def test_gradients_go_where_a_path_leads():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    first, second = torch.compile(lambda a, b: (a * 2, b.floor()))(a, b)
    first.sum().backward()
    assert a.grad.tolist() == [2, 2] and b.grad is None
    second.sum().backward()
    assert b.grad.tolist() == [0, 0]


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_that_the_function_turns_on(off):
    def f(x):
        with torch.enable_grad():
            return x * 2

    x = torch.ones(2, requires_grad=True)
    for run in (f, torch.compile(f), torch.compile(f)):
        with off():
            y = run(x)
        inferred = off is torch.inference_mode  # where nothing is recorded, whatever is asked for
        assert y.requires_grad is not inferred and y.is_inference() is inferred


def test_hooks_of_every_module_run_once():
    def triple(module, args, out):
        return out * 3

    net = nn.Identity()
    handle = nn.modules.module.register_module_forward_hook(triple)
    try:
        assert torch.compile(net)(torch.ones(1)).item() == net(torch.ones(1)).item() == 3
    finally:
        handle.remove()


def test_each_thread_has_its_own_name():
    def f(x):
        return x * len(threading.current_thread().name)

    g, found = torch.compile(f), []
    for name in ("first", "another one", "first"):
        worker = threading.Thread(target=lambda: found.append(g(torch.ones(1)).item()), name=name)
        worker.start()
        worker.join()
    assert found == [5, 11, 5]


def test_each_call_gives_a_tensor_of_its_own_over_a_numpy_array():
    shared = np.ones(2, np.float32)
    f = torch.compile(lambda x: (x * 2, torch.from_numpy(shared)), fullgraph=True)
    (_, first), (_, second) = f(torch.ones(2)), f(torch.ones(2))
    second.add_(1)
    assert first is not second and first.tolist() == shared.tolist() == [2, 2]


@pytest.mark.filterwarnings("ignore:torch.compile")
def test_views_of_before_as_strided_():
    def f(x):
        y = x * 2
        v = y.select(-1, 0)
        y.as_strided_((2, 1), (1, 1), 0)
        return (v * torch.arange(1.0, 4)).sum() + y.sum()

    slopes = []
    for run in (f, torch.compile(f)):
        x = torch.ones(3, 1, requires_grad=True)
        run(x).backward()
        slopes.append(x.grad.tolist())
    assert slopes[0] == slopes[1]


def test_threads_are_first_asked_for_in_a_recording():
    """The BLAS library is asked for their number, which is nothing that the function reads."""
    source = """
import rushlight as torch

f = torch.compile(lambda x: x * torch.get_num_threads(), fullgraph=True)
for _ in range(3):
    assert f(torch.ones(2)).tolist() == [torch.get_num_threads()] * 2
"""
    processes.run([sys.executable, "-W", "error", "-c", source], check=True)


@pytest.mark.parametrize("make", [
    lambda x: collections.Counter(["a", "a"]), lambda x: collections.Counter(a=x),
    lambda x: collections.defaultdict(list, k=x), lambda x: Listed([x]), lambda x: Keyed(x),
    lambda x: types.SimpleNamespace(a=x).__dict__, lambda x: types.SimpleNamespace(a=x),
])  # fmt: skip
def test_containers_come_back_as_what_they_are(make):
    compiled = torch.compile(lambda x: make(x * 2))
    for value in (1.0, 2.0, 3.0):
        found, want = compiled(torch.tensor(value)), make(torch.tensor(value) * 2)
        assert type(found) is type(want) and found == want
        assert getattr(found, "__dict__", None) == getattr(want, "__dict__", None)
        assert getattr(found, "default_factory", 0) == getattr(want, "default_factory", 0)


class Listed(list):
    def __init__(self, items):
        super().__init__(items)
        self.first = items[0]


class Keyed(dict):
    def __init__(self, value, key="k"):
        super().__init__({key: value})
        self.key = key


def test_another_dtype_of_a_buffer_in_another_mode():
    """A program that another one takes over from does not take the new memory for its own."""
    module = nn.Module()
    module.register_buffer("k", torch.arange(3))
    compiled = torch.compile(lambda x: x * module.k, options={"audit": False})
    x = torch.ones(3)
    assert compiled(x).tolist() == [0, 1, 2]
    module.k.data = torch.ones(6)[::2]
    with torch.autocast("cpu", torch.bfloat16):
        assert compiled(x).tolist() == [1, 1, 1]
    assert compiled(x).tolist() == [1, 1, 1]


def test_bytes_of_bools_are_written():
    def f(x):
        v = x.view(torch.uint8)
        v.clamp_(min=2)
        return v * 1, x

    given = torch.tensor([True, False])
    with pytest.warns(UserWarning, match="bytes of bools"):
        found = torch.compile(f)(given)
    assert found[0].tolist() == [2, 2] and bool(found[1].all())
    looked = torch.compile(lambda x: x.view(torch.uint8) + 1, fullgraph=True)
    assert looked(torch.tensor([True, False])).tolist() == [2, 1]


def test_indices_into_nothing_are_not_looked_at():
    def f(x, i):
        part = x[:0] * 1
        part[:, i] = 1.0
        return part, x[:0][:, i]

    found = torch.compile(f, fullgraph=True)(torch.ones(2, 2), torch.tensor([-3, 5]))
    assert [tuple(t.shape) for t in found] == [(0, 2), (0, 2)]


class Slotted(list):
    __slots__ = ("first",)


def test_a_container_with_slots_comes_back_with_them():
    def f(x):
        made = Slotted([x, x * 2])
        made.first = x * 3
        return made

    compiled = torch.compile(f, fullgraph=True)
    for value in (1.0, 2.0):
        found = compiled(torch.tensor(value))
        assert type(found) is Slotted and found == [value, 2 * value] and found.first == 3 * value


def test_a_sum_of_one_negative_zero_is_zero():
    def f(x):
        return x.sum(-1), x.cumsum(-1), x.mean(-1), x.half().sum(-1)

    found = torch.compile(f, fullgraph=True)(torch.tensor([[-0.0], [-0.0]]))
    assert not any(t.signbit().any() for t in found)


def test_a_scan_over_a_dim_of_size_1_written_through_a_view():
    def f(x):
        x[::2, None].cumsum_(1)
        x[:, None].logcumsumexp(1)
        return x * 1, x[::2, None].cumprod(1)

    x = torch.randn(3, 5, 7)
    want = [t.clone() for t in f(x.clone())]
    found = torch.compile(f, fullgraph=True)(x)
    assert all(torch.equal(a, b) for a, b in zip(found, want, strict=True))


def test_offsets_in_the_storage():
    def f(x):
        parts = x[1:], (x * 2)[2:], x.view(-1, 2)[1:, 1], x.chunk(2)[1]
        offsets = [t.storage_offset() for t in parts]
        return offsets, parts[1].as_strided((2,), (1,), parts[1].storage_offset() - 1)

    compiled = torch.compile(f, fullgraph=True)
    for x in (torch.arange(8.0), torch.arange(9.0)[1:], torch.arange(10.0)[2:]):
        offsets, part = compiled(x)
        want, other = f(x)
        assert offsets == want and torch.equal(part, other)


def test_xlogy_of_a_negative_zero_is_zero():
    f = lambda x: (torch.xlogy(x, 2.0), torch.xlogy(x, x), torch.special.xlog1py(x, x))
    for way in (f, torch.compile(f)):
        assert not any(t.signbit() for t in way(torch.tensor(-0.0)))


def test_pairs_of_an_expanded_complex_number():
    f = lambda x, y: torch.view_as_complex(torch.view_as_real(x)) * y
    given = torch.tensor([1 + 2j]).expand(3), torch.tensor(2.0)
    assert torch.equal(torch.compile(f, fullgraph=True)(*given), f(*given))


def test_a_view_of_the_one_gradient_that_there_is(monkeypatch):
    """The gradient of both results would be contiguous; that of the first alone is expanded."""
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")

    def f(x, weight, bias):
        y = nn.functional.conv2d(x, weight, bias)
        return y.sum((0, 1, 2), keepdim=True), y

    x, weight = torch.randn(1, 1, 2, 2), torch.randn(4, 1, 1, 1)
    slopes = []
    for way in (f, torch.compile(f)):
        bias = torch.zeros(4, requires_grad=True)
        way(x, weight, bias)[0].sum().backward()
        slopes.append(bias.grad)
    torch.testing.assert_close(*slopes)


@pytest.mark.filterwarnings("ignore:torch.compile")
@pytest.mark.parametrize("write", [
    lambda a, c: c[0].add_(a[0]),
    lambda a, c: c.__setitem__((slice(None), 0), a[0] * 2),
    lambda a, c: c.mT[1:].copy_(a[:1]) * 2,
])  # fmt: skip
def test_a_write_to_a_view_of_an_argument_that_is_a_view(write):
    """The gradient goes through the argument's base, which is no argument."""
    slopes, compiled = [], torch.compile(write)
    for way in (write, compiled, compiled):
        a, base = torch.ones(2, 2, requires_grad=True), torch.zeros(3, 2)
        part = base[1:]
        way(a, part)
        (part.sum() + base.sum()).backward()
        slopes.append(a.grad.tolist())
    assert slopes[0] == slopes[1] == slopes[2]


@pytest.mark.filterwarnings("ignore:torch.compile")
def test_bytes_of_a_storage_and_exchanged_tensors():
    """A program would write at another time, or would not exchange them again."""

    def clear(x):
        y = x * 3
        x.untyped_storage().fill_(0)
        return y

    def exchange(x, y):
        torch.utils.swap_tensors(x, y)
        return x * 1

    cleared, exchanged = torch.compile(clear), torch.compile(exchange)
    for _ in range(3):
        assert cleared(torch.ones(2)).tolist() == [3, 3]
        assert exchanged(torch.ones(2), torch.zeros(2)).tolist() == [0, 0]
