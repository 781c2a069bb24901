"""Module: registration, attributes, iteration, conversion, printing, errors that name a layer."""

import copy
import pickle
import sys
import traceback

import pytest

import rushlight
from rushlight import nn


def example(torch):
    """A model with shared modules and parameters, buffers of both kinds and None entries."""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.norm = nn.BatchNorm1d(4)
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.1))
            self.again = self.first
            self.tied = nn.Parameter(torch.ones(2))
            self.tied_too = self.tied
            self.nothing = None
            self.count = 3
            self.register_parameter("absent", None)
            self.register_buffer("table", torch.arange(3))
            self.register_buffer("cache", torch.zeros(2), persistent=False)
            self.register_buffer("no_buffer", None)
            self.marked = nn.Buffer(torch.ones(1), persistent=False)
            self.register_module("no_module", None)

        def forward(self, x):
            return self.inner(self.norm(self.first(x)))

        def extra_repr(self):
            return "two\nlines"

    return Net()


#: Each script runs under both libraries and must return, warn and raise the same.
SCRIPTS = {
    "repr": lambda torch: repr(example(torch)),
    "repr empty": lambda torch: repr(torch.nn.Module()),
    "named_parameters": lambda torch: [n for n, _ in example(torch).named_parameters()],
    "named_parameters duplicates": lambda torch: [
        n for n, _ in example(torch).named_parameters("p", remove_duplicate=False)
    ],
    "named_parameters here": lambda torch: [
        n for n, _ in example(torch).named_parameters("p", recurse=False)
    ],
    "named_buffers": lambda torch: [
        [n for n, _ in example(torch).named_buffers(*args)]
        for args in ((), ("p",), ("", False), ("", True, False))
    ],
    "named_modules": lambda torch: [
        (n, type(m).__name__) for n, m in example(torch).named_modules()
    ],
    "named_modules duplicates": lambda torch: [
        n for n, _ in example(torch).named_modules(prefix="p", remove_duplicate=False)
    ],
    "named_children": lambda torch: [n for n, _ in example(torch).named_children()],
    "counts": lambda torch: [
        len(list(iterate()))
        for net in [example(torch)]
        for iterate in (net.parameters, net.buffers, net.modules, net.children)
    ],
    "state_dict": lambda torch: list(example(torch).state_dict()),
    "dir": lambda torch: [
        n for n in dir(example(torch)) if n in "first table absent tied no_module training count 0"
    ],
    "dict": lambda torch: [k for k in vars(example(torch)) if not k.startswith("_")],
    "replace parameter by None": lambda torch: setting(torch, "tied", None),
    "replace parameter by tensor": lambda torch: setting(torch, "tied", torch.ones(2)),
    "replace parameter by parameter": lambda torch: setting(
        torch, "tied", torch.nn.Parameter(torch.zeros(3))
    ),
    "replace parameter by module": lambda torch: setting(torch, "tied", torch.nn.ReLU()),
    "fill empty parameter": lambda torch: setting(
        torch, "absent", torch.nn.Parameter(torch.zeros(3))
    ),
    "replace buffer by number": lambda torch: setting(torch, "table", 3),
    "replace buffer by tensor": lambda torch: setting(torch, "cache", torch.ones(5)),
    "replace buffer by None": lambda torch: setting(torch, "table", None),
    "replace buffer by parameter": lambda torch: setting(
        torch, "cache", torch.nn.Parameter(torch.zeros(3))
    ),
    "replace buffer by module": lambda torch: setting(torch, "table", torch.nn.ReLU()),
    "replace module by None": lambda torch: setting(torch, "first", None),
    "replace module by number": lambda torch: setting(torch, "first", 1),
    "replace module by parameter": lambda torch: setting(
        torch, "first", torch.nn.Parameter(torch.zeros(3))
    ),
    "replace number by parameter": lambda torch: setting(
        torch, "count", torch.nn.Parameter(torch.zeros(3))
    ),
    "replace number by module": lambda torch: setting(torch, "count", torch.nn.ReLU()),
    "replace number by Buffer": lambda torch: setting(
        torch, "count", torch.nn.Buffer(torch.zeros(3))
    ),
    "Buffer over buffer": lambda torch: setting(
        torch, "table", torch.nn.Buffer(torch.zeros(3), persistent=False)
    ),
    "deep parameter": lambda torch: setting(torch, "x", torch.nn.Parameter(torch.ones(2)) * 2),
    "register_parameter": lambda torch: [
        tried(example(torch).register_parameter, name, value)
        for name, value in (
            ("w", torch.nn.Parameter(torch.ones(1))), ("w", torch.ones(1)), ("w", None),
            ("a.b", None), ("", None), (3, None), ("count", None), ("first", None),
            ("tied", None), ("w", 3),
            ("w", torch.nn.Parameter(torch.ones(1)).mul(2)),
        )
    ],
    "register_buffer": lambda torch: [
        tried(example(torch).register_buffer, name, value)
        for name, value in (
            ("w", torch.ones(1)), ("w", None), ("w", 3), ("a.b", None), ("", None), (3, None),
            ("tied", None), ("table", torch.ones(1)),
        )
    ],
    "add_module": lambda torch: [
        tried(example(torch).add_module, name, value)
        for name, value in (
            ("w", torch.nn.ReLU()), ("w", None), ("w", 3), ("a.b", torch.nn.ReLU()),
            ("", torch.nn.ReLU()), (3, torch.nn.ReLU()), ("count", torch.nn.ReLU()),
            ("first", torch.nn.ReLU()), ("w", torch.nn.ReLU),
        )
    ],
    "delete": lambda torch: [
        [tried(delattr, net, name), list(net.state_dict()), hasattr(net, name)]
        for net in [example(torch)]
        for name in ("tied", "table", "cache", "first", "count", "missing")
    ],
    "get": lambda torch: [
        [type(found).__name__ for found in tried(get, path)]
        for net in [example(torch)]
        for get in (net.get_submodule, net.get_parameter, net.get_buffer)
        for path in (
            "", "inner", "inner.0", "inner.7", "inner.0.weight", "tied", "table", "cache",
            "norm.running_mean", "norm.missing", "missing.weight", "first.bias", "count",
            "no_module", "absent", "inner.0.weight.data",
        )
    ],
    "set_submodule": lambda torch: [
        [*tried(net.set_submodule, path, value, strict), repr(net)]
        for net in [example(torch)]
        for strict in (False, True)
        for path, value in (
            ("inner.0", torch.nn.Tanh()), ("", torch.nn.Tanh()), ("inner.9", torch.nn.Tanh()),
            ("inner.new", torch.nn.Tanh()), ("first", 3), ("count", torch.nn.Tanh()),
            ("missing.0", torch.nn.Tanh()),
        )
    ],
    "before init": lambda torch: [
        tried(setattr, torch.nn.Module.__new__(torch.nn.Module), "x", value)
        for value in (torch.nn.Parameter(torch.ones(1)), torch.nn.ReLU(), 3)
    ],
    "before init register": lambda torch: [
        tried(torch.nn.Module.__new__(torch.nn.Module).register_parameter, "w", None),
        tried(torch.nn.Module.__new__(torch.nn.Module).register_buffer, "w", None),
        tried(torch.nn.Module.__new__(torch.nn.Module), 1),
    ],
    "attribute error": lambda torch: example(torch).missing,
    "train": lambda torch: [
        [m.training for m in net.modules()]
        for net in [example(torch), example(torch).eval(), example(torch).eval().train()]
    ],
    "train what": lambda torch: example(torch).train(1),
    "requires_grad_": lambda torch: [
        p.requires_grad for p in example(torch).requires_grad_(False).parameters()
    ],
    "apply": lambda torch: applied(torch),
    "double": lambda torch: dtypes(example(torch).double()),
    "half": lambda torch: dtypes(example(torch).half()),
    "bfloat16": lambda torch: dtypes(example(torch).bfloat16().float()),
    "type": lambda torch: dtypes(torch.nn.Linear(2, 2).type(torch.float64)),
    "to": lambda torch: [
        tried(lambda to, net: dtypes(to(net)), to, example(torch))
        for to in (
            lambda net: net.to(torch.float64), lambda net: net.to("cpu"),
            lambda net: net.to(torch.device("cpu"), torch.float64),
            lambda net: net.to(dtype=torch.float64), lambda net: net.to(device="cpu"),
            lambda net: net.to("cpu", torch.float16, True),
            lambda net: net.to(torch.ones(1, dtype=torch.float64)),
            lambda net: net.to(torch.float64, non_blocking=True),
            lambda net: net.to(torch.int64), lambda net: net.to(torch.ones(1, dtype=torch.int64)),
            lambda net: net.to(torch.complex64), lambda net: net.to([]),
            lambda net: net.to(None), lambda net: net.to(),
            lambda net: net.to("nowhere"), lambda net: net.to("cuda"),
            lambda net: net.to(memory_format=torch.channels_last),
            lambda net: net.to("cpu", device="cpu"), lambda net: net.to(type=torch.float64),
            lambda net: net.to(torch.float64, copy=True), lambda net: net.to("cpu", "cpu"),
            lambda net: net.to(tensor=torch.ones(1, dtype=torch.float64)),
            lambda net: net.cpu(), lambda net: net.cuda(), lambda net: net.float(),
            lambda net: net.to_empty(device="cpu"),
        )
    ],
    "to keeps parameters": lambda torch: [
        before is after
        for net in [example(torch)]
        for before, after in zip(net.parameters(), net.double().parameters(), strict=True)
    ],
    "to converts gradients": lambda torch: [
        [p.grad.dtype, p.grad]
        for net in [torch.nn.Linear(2, 1)]
        for _ in [net(torch.ones(1, 2)).sum().backward()]
        for p in net.double().parameters()
    ],
    "zero_grad": lambda torch: [
        [net(torch.ones(1, 2)).sum().backward(), net.zero_grad(how), net.weight.grad]
        for how in (True, False)
        for net in [torch.nn.Linear(2, 1)]
    ],
    "call_super_init": lambda torch: super_init(torch),
}  # fmt: skip


def tried(do, *args):
    """The result of ``do(*args)``, or the type that it raises."""
    try:
        return [do(*args)]
    except Exception as error:
        kinds = (kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
        return [next(kinds).__name__]


def setting(torch, name, value):
    net = example(torch)
    setattr(net, name, value)
    return [
        repr(net), [k for k in vars(net) if not k.startswith("_")], sorted(net.state_dict()),
        *[n for n, _ in net.named_buffers()], *[n for n, _ in net.named_parameters()],
    ]  # fmt: skip


def dtypes(net):
    return {n: str(t.dtype) for n, t in [*net.named_parameters(), *net.named_buffers()]}


def applied(torch):
    order = []
    net = example(torch)
    assert net.apply(lambda m: order.append(type(m).__name__)) is net
    return order


def super_init(torch):
    class Other:
        def __init__(self, value):
            self.value = value

    class Both(torch.nn.Module, Other):
        call_super_init = True

    return Both(7).value


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_module_does_as_pytorchs(parity, name):
    parity(SCRIPTS[name])


def test_copies_have_their_own_state_and_the_same_behaviour():
    net = example(rushlight).eval()
    x = rushlight.ones(2, 3)
    deep, shallow = copy.deepcopy(net), copy.copy(net)
    assert repr(deep) == repr(net)
    assert deep.again is deep.first and deep.tied is deep.tied_too
    assert shallow.first is net.first
    with rushlight.no_grad():
        net.first.bias.add_(1)
    assert rushlight.equal(net(x), shallow(x)) and not rushlight.equal(net(x), deep(x))
    layer = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))))
    assert list(layer.state_dict()) == list(nn.Sequential(*layer).state_dict())


def test_pickles_of_earlier_versions_get_what_was_added_since():
    state = nn.Linear(2, 2).__getstate__()
    for name in ("_forward_hooks_with_kwargs", "_non_persistent_buffers_set"):
        del state[name]
    layer = nn.Linear.__new__(nn.Linear)
    layer.__setstate__(state)
    assert layer(rushlight.ones(1, 2)).shape == (1, 2)


def test_compile_compiles_the_call_in_place():
    layer, x = nn.Linear(3, 2), rushlight.ones(1, 3)
    expected = layer(x) * 2
    layer.register_forward_hook(lambda module, args, out: out * 2)
    layer.compile(fullgraph=True)
    assert rushlight.allclose(layer(x), expected)
    assert copy.deepcopy(layer)._compiled_call_impl is None
    with pytest.raises(RuntimeError, match=r"\[in Linear\]"):
        layer(rushlight.ones(1, 4))


def test_share_memory_returns_the_module():
    layer = nn.Linear(2, 2)
    assert layer.share_memory() is layer


def test_registering_without_persistent_argument():
    class Old(nn.Module):
        def register_buffer(self, name, tensor):
            super().register_buffer(name, tensor)

    module = Old()
    module.mean = nn.Buffer(rushlight.ones(1))
    assert list(module.state_dict()) == ["mean"]


# Errors name the layer --------------------------------------------------------------------


class Model(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), last)

    def forward(self, x):
        return self.net(x)


def test_an_error_of_an_operation_names_its_layer_once():
    with pytest.raises(RuntimeError) as caught:
        Model(nn.Linear(5, 2))(rushlight.ones(2, 3))
    text = str(caught.value)
    assert text.endswith("[in net.2 (Linear)]") and text.count("[in") == 1
    with pytest.raises(RuntimeError, match=r"\[in Linear\]"):
        nn.Linear(5, 2)(rushlight.ones(2, 3))


def test_failed_checks_name_the_layer_too():
    model = nn.TransformerEncoderLayer(4, 2)
    with pytest.raises(AssertionError, match=r"\[in self_attn \(MultiheadAttention\)\]"):
        model(rushlight.ones(2, 3))


class Fails(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError("mine"), KeyError("k"), OSError(2, "none"), ZeroDivisionError()]
)
def test_an_error_of_other_code_keeps_its_text_and_gets_a_note(error):
    before = str(error)
    with pytest.raises(type(error)) as caught:
        Model(Fails(error))(rushlight.ones(2, 3))
    assert str(caught.value) == before and caught.value.__notes__ == ["in net.2 (Fails)"]
    assert "in net.2 (Fails)" in "".join(traceback.format_exception(caught.value))
    pickle.dumps(caught.value)  # as a worker process does


def test_a_failing_module_that_is_no_submodule_is_named_as_far_as_known():
    inner = Model(nn.Linear(5, 2))

    class Outer(nn.Module):
        def forward(self, x):
            return inner(x)

    with pytest.raises(RuntimeError, match=r"\[in net.2 \(Linear\)\]"):
        Outer()(rushlight.ones(2, 3))


def test_exits_and_interrupts_pass_untouched():
    with pytest.raises(KeyboardInterrupt) as caught:
        Model(Fails(KeyboardInterrupt()))(rushlight.ones(2, 3))
    assert not hasattr(caught.value, "__notes__")


# Cost -------------------------------------------------------------------------------------


def test_functions_of_torch_do_not_become_methods(parity):
    def script(torch):
        def own(self, x):
            return x * 3

        class Net(torch.nn.Module):
            activation, join, convolve, scale = torch.tanh, torch.cat, torch.conv2d, own

            def forward(self, x):
                x = self.convolve(x, weight=torch.ones(1, 1, 1, 1), padding=1)
                return self.scale(self.activation(self.join([x, x])))

        class Deeper(Net):
            activation = torch.exp

        x = torch.ones(1, 1, 2, 2)
        return Net()(x), Deeper()(x), Net.activation is torch.tanh, Net().join is torch.cat

    parity(script)


def calls(do):
    """The Python functions that ``do()`` enters, by name."""
    entered = []

    def watch(frame, event, arg):
        if event == "call":
            entered.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        do()
    finally:
        sys.setprofile(None)
    return entered


def test_a_call_without_hooks_is_two_python_calls():
    layer, x = nn.Identity(), rushlight.ones(1)
    assert calls(lambda: layer(x))[1:] == ["__call__", "forward"]
