"""Hooks around calls: their order, arguments, results and removal, as PyTorch's."""

import copy
import gc
import pickle
import weakref
from collections import namedtuple

import pytest

import rushlight
from rushlight import nn


def show(value):
    """Gradients, arguments and results as short text."""
    if hasattr(value, "detach"):
        return str([round(v, 4) for v in value.detach().reshape(-1).tolist()])
    if isinstance(value, tuple):
        return "(" + " ".join(map(show, value)) + ")"
    return str(value)


def logged(log, name, result=None):
    def hook(module, *args, **kwargs):
        log.append([name, type(module).__name__, *map(show, args)])
        return result(*args) if callable(result) else result

    return hook


def two(torch):
    """A layer of two inputs and two outputs."""

    class Two(torch.nn.Module):
        def forward(self, x, y=None, *, scale=1.0):
            y = torch.ones(2) if y is None else y
            return x * y * scale, x + 1

    return Two()


def forward_order(torch):
    log, x = [], torch.ones(2)
    module = two(torch)
    everywhere = torch.nn.modules.module
    handles = [
        module.register_forward_pre_hook(logged(log, "pre 1")),
        module.register_forward_pre_hook(logged(log, "pre 2"), prepend=True),
        module.register_forward_pre_hook(logged(log, "pre kw"), with_kwargs=True),
        module.register_forward_hook(logged(log, "post 1")),
        module.register_forward_hook(logged(log, "post 2"), prepend=True),
        module.register_forward_hook(logged(log, "post kw"), with_kwargs=True, always_call=True),
        everywhere.register_module_forward_pre_hook(logged(log, "all pre")),
        everywhere.register_module_forward_hook(logged(log, "all post")),
        everywhere.register_module_forward_hook(logged(log, "all kw"), with_kwargs=True),
    ]
    out = module(x, torch.ones(2) * 3, scale=2.0)
    for handle in handles[::2]:
        handle.remove()
        handle.remove()
    module(x)
    for handle in handles:
        handle.remove()
    module(x)
    return [log, out]


def forward_results(torch):
    module, log = two(torch), []
    x = torch.ones(2)
    results = []

    def run(register, hook, **options):
        with register(hook, **options):
            results.append(module(x, scale=2.0))

    pre, post = module.register_forward_pre_hook, module.register_forward_hook
    run(pre, lambda m, args: (args[0] * 5,))
    run(pre, lambda m, args: args[0] * 5)
    run(pre, lambda m, args, kw: (args, {"scale": 7.0}), with_kwargs=True)
    run(post, lambda m, args, out: out[0])
    run(post, lambda m, args, kw, out: kw["scale"], with_kwargs=True)
    run(post, logged(log, "none"))
    return [results, log]


def always_called(torch):
    log = []

    class Fails(torch.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    module = Fails()
    module.register_forward_hook(logged(log, "never"))
    module.register_forward_hook(logged(log, "always", 3), always_call=True)
    module.register_forward_hook(logged(log, "kwargs"), always_call=True, with_kwargs=True)

    def bad(*args):
        raise KeyError("also")

    module.register_forward_hook(bad, always_call=True)
    with torch.nn.modules.module.register_module_forward_hook(logged(log, "all"), always_call=True):
        try:
            module(torch.ones(1))
        except ValueError:
            log.append("raised")
    return log


def a_hook_fails(torch):
    log, module = [], torch.nn.Identity()

    def bad(*args):
        raise KeyError("no")

    module.register_forward_hook(logged(log, "before", 5))
    module.register_forward_hook(bad, always_call=True)
    module.register_forward_hook(logged(log, "after"), always_call=True)
    try:
        module(torch.ones(1))
    except KeyError:
        log.append("raised")
    return log


def backward_order(torch):
    log = []
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    with torch.no_grad():
        for p in module.parameters():
            p.fill_(0.5)
    everywhere = torch.nn.modules.module
    handles = [
        everywhere.register_module_full_backward_hook(logged(log, "all post")),
        everywhere.register_module_full_backward_pre_hook(logged(log, "all pre")),
    ]
    for m in module.modules():
        m.register_full_backward_hook(logged(log, "post 1"))
        m.register_full_backward_hook(logged(log, "post 2"), prepend=True)
        m.register_full_backward_pre_hook(logged(log, "pre 1"))
        m.register_full_backward_pre_hook(logged(log, "pre 2"), prepend=True)
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    module(x).sum().backward()
    for handle in handles:
        handle.remove()
    return [log, x.grad, module[0].weight.grad]


def backward_replaces(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    module = torch.nn.Tanh()
    module.register_full_backward_pre_hook(lambda m, g: (g[0] * 10,))
    module.register_full_backward_hook(lambda m, gi, go: (gi[0] + go[0],))
    module(x).sum().backward()
    return x.grad


def backward_many(torch):
    """Several inputs and outputs, of which some want no gradient and some get none."""
    log, x = [], torch.tensor([1.0, 2.0], requires_grad=True)
    module = two(torch)
    module.register_full_backward_pre_hook(logged(log, "pre"))
    module.register_full_backward_hook(logged(log, "post"))
    module(x, torch.tensor([3.0, 4.0]))[0].sum().backward()
    a, b = module(x, torch.tensor([3.0, 4.0], requires_grad=True), scale=2.0)
    (a + 2 * b).sum().backward()
    out = module(torch.ones(2), x)
    out[0].sum().backward()
    return [log, x.grad]


def backward_without_inputs(torch):
    log = []
    module = torch.nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.fill_(2.0)
    module.register_full_backward_hook(logged(log, "post"))
    module.register_full_backward_pre_hook(logged(log, "pre"))
    module(torch.ones(1, 2)).sum().backward()
    module.eval()
    with torch.no_grad():
        module(torch.ones(1, 2))
    return [log, module.weight.grad]


def backward_twice(torch):
    x = torch.tensor([0.5], requires_grad=True)
    module, log = torch.nn.Tanh(), []
    module.register_full_backward_hook(logged(log, "post", lambda gi, go: (gi[0] * 2,)))
    (g,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), x)
    out = module(x)
    out.sum().backward(retain_graph=True)
    out.sum().backward()
    return [log, g, gg, x.grad]


def backward_named_tuple(torch):
    Pair = namedtuple("Pair", "a b")

    class Makes(torch.nn.Module):
        def forward(self, x):
            return Pair(x * 2, "text")

    log, x = [], torch.ones(1, requires_grad=True)
    module = Makes()
    module.register_full_backward_hook(logged(log, "post"))
    out = module(x)
    out.a.sum().backward()
    return [log, type(out).__name__, out.b]


def backward_of_a_list(torch):
    class Makes(torch.nn.Module):
        def forward(self, x):
            return [x * 2]

    log, x = [], torch.ones(1, requires_grad=True)
    module = Makes()
    module.register_full_backward_hook(logged(log, "post"))
    module(x)[0].sum().backward()
    return [log, x.grad]


def failing(register):
    def script(torch):
        module = torch.nn.Tanh()
        register(torch, module)
        module(torch.ones(1, requires_grad=True)).sum().backward()

    return script


def older_kind(torch):
    log, x = [], torch.tensor([0.5, 1.0], requires_grad=True)
    module = torch.nn.Tanh()
    handle = module.register_backward_hook(logged(log, "post"))
    module(x).sum().backward()
    handle.remove()
    module(x).sum().backward()
    return [log, x.grad]


def registrations(torch):
    log = []
    everywhere = torch.nn.modules.module

    def seen(kind, change=None):
        def hook(module, name, value):
            log.append([kind, type(module).__name__, name, value is None])
            return change and change(value)

        return hook

    handles = [
        everywhere.register_module_parameter_registration_hook(
            seen("parameter", lambda p: torch.nn.Parameter(p.detach() * 0 + 2))
        ),
        everywhere.register_module_buffer_registration_hook(seen("buffer")),
        everywhere.register_module_module_registration_hook(seen("module")),
    ]
    try:
        module = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1))
        module.extra = torch.nn.ReLU()
        module.extra = None
        module.add_module("more", None)
    finally:
        for handle in handles:
            handle.remove()
    return [log, module[0].weight]


SCRIPTS = {
    "forward order": forward_order,
    "forward results": forward_results,
    "always called": always_called,
    "a hook fails": a_hook_fails,
    "backward order": backward_order,
    "backward replaces": backward_replaces,
    "backward many": backward_many,
    "backward without inputs": backward_without_inputs,
    "backward twice": backward_twice,
    "backward named tuple": backward_named_tuple,
    "backward of a list": backward_of_a_list,
    "older kind": older_kind,
    "registrations": registrations,
    "pre hook returns one": failing(
        lambda torch, m: m.register_forward_pre_hook(lambda m, a, k: a, with_kwargs=True)
    ),
    "backward hook returns two": failing(
        lambda torch, m: m.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    ),
    "backward pre-hook returns two": failing(
        lambda torch, m: m.register_full_backward_pre_hook(lambda m, go: (go[0], go[0]))
    ),
    "full after older": failing(
        lambda torch, m: [m.register_backward_hook(print), m.register_full_backward_hook(print)]
    ),
    "older after full": failing(
        lambda torch, m: [m.register_full_backward_hook(print), m.register_backward_hook(print)]
    ),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_hooks_do_as_pytorchs(parity, name):
    parity(SCRIPTS[name])


def test_a_handle_holds_nothing_alive():
    module = nn.Identity()
    handle = module.register_forward_hook(lambda *args: None, with_kwargs=True)
    seen = weakref.ref(module)
    del module
    gc.collect()
    assert seen() is None
    handle.remove()


def test_backward_hooks_leave_no_cycle():
    module = nn.Linear(2, 2)
    module.register_full_backward_hook(lambda *args: None)
    gc.collect()
    gc.disable()
    try:
        x = rushlight.ones(1, 2, requires_grad=True)
        out = module(x)
        out.sum().backward()
        seen = weakref.ref(out)
        del out
        assert seen() is None
        x.grad = None
        del x
        assert gc.collect() == 0
    finally:
        gc.enable()


def count_call(module, args, out):
    module.calls = getattr(module, "calls", 0) + 1


def test_hooks_are_copied_with_their_module():
    module = nn.Identity()
    module.register_forward_hook(count_call)
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        copied(rushlight.ones(1))
        assert copied.calls == 1
    assert not hasattr(module, "calls")


def test_clearing_the_dicts_of_hooks_is_seen():
    module, log = nn.Identity(), []
    module.register_forward_hook(logged(log, "post"))
    module._forward_hooks.clear()
    module(rushlight.ones(1))
    assert log == []
