"""The engine: graphs, accumulation, freeing, hooks, modes."""

import copy
import gc
import pickle
import threading
import weakref

import pytest

import rushlight as torch
from rushlight.autograd.tape import Node


def leaf(*values):
    return torch.tensor(list(values), requires_grad=True)


def test_gradients_accumulate_in_the_same_memory():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first
    assert x.grad.tolist() == [5.0, 7.0]


def test_one_tensor_used_many_times():
    x = leaf(3.0)
    y = x * x
    z = y * y + y
    z.sum().backward()
    assert x.grad.item() == 4 * 27 + 6


def test_gradient_of_a_leaf_that_two_paths_share_is_not_aliased():
    x, y = leaf(1.0), leaf(2.0)
    (x + y).sum().backward()
    x.grad.zero_()
    assert y.grad.item() == 1.0


def test_given_gradient_is_not_aliased():
    x, g = leaf(1.0, 2.0), torch.ones(2)
    x.backward(g)
    x.grad.mul_(5)
    assert g.tolist() == [1.0, 1.0]


def test_second_backward_needs_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x.sum(),
        lambda x: x.mean(),
        lambda x: (-x + 2).sum(0),
        lambda x: x.view(2, 2).t()[1:].sum(),
        lambda x: torch.cat([x, x]).flip(0).sum(),
        lambda x: x.double().clone().sum(),
    ],
)
def test_second_backward_where_no_value_was_saved(run):
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = run(x)
    y.backward()
    first = x.grad.clone()
    y.backward()
    assert torch.equal(x.grad, 2 * first)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_higher_orders(order):
    x = leaf(1.3)
    y = (x**5).sum()
    want, factor = 5, 1
    for _ in range(order):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        factor *= want
        want -= 1
    assert y.item() == pytest.approx(factor * 1.3**want, rel=1e-5)


def test_deep_graphs_neither_recurse_nor_leak():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 0.0
    y.sum().backward()
    assert x.grad.item() == 1.0
    del y


def test_no_reference_cycles():
    gc.collect()
    nodes_alive = lambda: sum(issubclass(type(o), Node) for o in gc.get_objects())
    before = nodes_alive()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = (x.exp() * x).sum()
        y.backward()
        refs = [weakref.ref(t) for t in (x, y)]
        nodes = weakref.ref(y.grad_fn)
        del x, y
        assert [r() for r in refs] == [None, None]
        assert nodes() is None
        assert nodes_alive() == before
    finally:
        gc.enable()


def test_grad_of_some_inputs_leaves_others_alone():
    x, y = leaf(2.0), leaf(3.0)
    z = (x * y).sum()
    (g,) = torch.autograd.grad(z, y, retain_graph=True)
    assert (g.item(), x.grad, y.grad) == (2.0, None, None)
    z.backward(inputs=[x])
    assert (x.grad.item(), y.grad) == (3.0, None)


def test_unused_inputs():
    x, y = leaf(2.0), leaf(3.0)
    z = (x * 2).sum()
    with pytest.raises(RuntimeError, match="allow_unused"):
        torch.autograd.grad(z, y, retain_graph=True)
    assert torch.autograd.grad(z, y, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(z, y, materialize_grads=True)[0].item() == 0.0
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad((x * 2).sum(), torch.ones(2), allow_unused=True)


def test_gradient_at_an_inner_tensor():
    x = leaf(2.0)
    y = x * 3
    z = (y * y).sum()
    (g,) = torch.autograd.grad(z, y)
    assert g.item() == 12.0


def test_retain_grad_and_hooks():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10)
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (y * y).sum().backward()
    assert seen == [12.0, 360.0]
    assert y.grad.item() == 120.0


def test_a_hook_after_the_accumulation_gives_nothing():
    x = leaf(2.0)
    x.register_post_accumulate_grad_hook(lambda t: t.grad.mul_(2))
    with pytest.raises(RuntimeError, match="should return None"):
        (x * 1).sum().backward()
    with pytest.raises(RuntimeError, match="should return None"):
        torch.compile(lambda x: (x * 1).sum().backward())(x)


def test_a_removed_hook_does_not_run():
    x = leaf(2.0)
    hook = lambda g: g * 0
    handle = x.register_hook(hook)
    x.register_post_accumulate_grad_hook(lambda t: None)
    assert x._backward_hooks == {handle.id: hook} and (x * 1)._backward_hooks is None
    handle.remove()
    assert x._backward_hooks is None
    (x * 1).sum().backward()
    assert x.grad.item() == 1.0


def test_node_hooks():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.grad_fn.register_prehook(lambda gs: seen.append(gs[0].item()))
    y.grad_fn.register_hook(lambda ins, outs: (ins[0] * 2, *ins[1:]))
    y.sum().backward()
    assert (seen, x.grad.item()) == ([1.0], 6.0)


def test_non_scalar_and_no_grad_errors():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.ones(1).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(torch.ones(3))


def test_modes_are_of_the_thread():
    seen = {}

    def other():
        seen["inside"] = torch.is_grad_enabled()

    with torch.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        seen["here"] = torch.is_grad_enabled()
    assert seen == {"inside": True, "here": False}
    assert torch.is_grad_enabled()


def test_modes_decorate_functions_and_generators():
    @torch.no_grad()
    def f():
        return torch.is_grad_enabled()

    @torch.no_grad()
    def g():
        yield torch.is_grad_enabled()
        yield torch.is_grad_enabled()

    states = [(inside, torch.is_grad_enabled()) for inside in g()]
    assert (f(), states, torch.is_grad_enabled()) == (False, [(False, True)] * 2, True)


def test_set_grad_enabled():
    with torch.set_grad_enabled(False):
        assert not torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        assert not (leaf(1.0) * 2).requires_grad
    finally:
        torch.set_grad_enabled(True)


def test_inference_tensors():
    w = leaf(2.0)
    with torch.inference_mode():
        x = torch.ones(1) * 3
        assert not (w * x).requires_grad
    assert x.is_inference()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
        w * x
    with pytest.raises(RuntimeError, match=r"[Ii]nplace update to inference tensor"):
        x.add_(1)


def test_detect_anomaly_shows_the_forward_line():
    x = leaf(0.0)
    with pytest.warns(UserWarning, match="Anomaly Detection"):
        detection = torch.autograd.detect_anomaly()
    with detection:
        y = (x * 0) / x  # the line to be shown
        with (
            pytest.warns(UserWarning, match="the line to be shown"),
            pytest.raises(RuntimeError, match="nan values"),
        ):
            y.sum().backward()


def test_only_inputs_is_taken_and_means_nothing():
    x = torch.tensor(3.0, requires_grad=True)
    assert torch.autograd.grad(x * x, x, None, None, False, True)[0] == 6
    with pytest.warns(FutureWarning, match="only_inputs"):
        torch.autograd.grad(x * x, x, only_inputs=False)


def test_grad_must_fit():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="assign a gradient of size"):
        x.grad = torch.ones(3)
    with pytest.raises(TypeError):
        x.grad = 3
    with pytest.raises(RuntimeError, match="floating point"):
        torch.ones(2, dtype=torch.int64).requires_grad_()


def test_grad_can_be_deleted():
    x = leaf(1.0)
    (x * 2).sum().backward()
    del x.grad
    assert x.grad is None


def test_as_subclass_keeps_memory_and_history():
    class Named(torch.Tensor):
        pass

    x = leaf(1.0, 2.0)
    named = x.as_subclass(Named)
    assert type(named) is type(named * 2) is Named
    assert named.data_ptr() == x.data_ptr()
    (named * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_what_an_overriding_class_returns_need_not_be_a_tensor():
    class Logged:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__

    assert torch.mean(Logged()) == "mean"


def test_hooks_stay_while_a_tensor_requires_no_grad():
    """As when a layer is frozen for some epochs."""
    w, seen = torch.ones(2, requires_grad=True), []
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    tripled = w.register_hook(lambda g: g * 3)

    def slope():
        w.grad = None
        (w * 1).sum().backward()
        return w.grad.tolist()

    for off in (lambda: w.requires_grad_(False), w.detach_):
        off()
        assert not w.requires_grad
        w.requires_grad_()
        assert slope() == [3.0, 3.0] == seen.pop()
    w.requires_grad = False
    tripled.remove()
    w.requires_grad = True
    assert slope() == [1.0, 1.0] == seen.pop()


def test_a_frozen_leaf_gets_no_gradient_from_graphs_of_before():
    w = torch.ones(2, requires_grad=True)
    y, z = (w * 2).sum(), (w * 3).sum()
    w.requires_grad_(False)
    y.backward()
    assert w.grad is None
    w.requires_grad_()
    (found,) = torch.autograd.grad(z, w, retain_graph=True)  # it is the same leaf again
    z.backward()
    assert found.tolist() == w.grad.tolist() == [3.0, 3.0]


def test_the_gradient_that_a_tensor_retains_is_of_what_it_is_now():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.mul_(5)
    y.sum().backward()
    assert y.retains_grad and y.grad.tolist() == [1.0, 1.0] and x.grad.tolist() == [10.0, 10.0]


def test_hooks_after_accumulation_keep_their_leaf():
    x, seen = torch.ones(2, requires_grad=True), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    y = (x * 3).sum()
    del x
    gc.collect()
    y.backward()
    assert seen == [[3.0, 3.0]]


def test_gradients_with_a_graph_are_each_leaf_s_own():
    x, w = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    y = torch.stack([x, w]).sum()
    y.backward(create_graph=True)
    y.backward(retain_graph=True)
    assert x.grad.tolist() == w.grad.tolist() == [2.0, 2.0]
    x.grad = w.grad = None
    (x + w).sum().backward(create_graph=True)
    assert x.grad is not w.grad


def test_nothing_is_recorded_in_inference_mode():
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        torch.set_grad_enabled(True)
        assert torch.is_grad_enabled() and not (x * 2).requires_grad
        with torch.no_grad():
            assert not torch.is_grad_enabled()
        assert torch.is_grad_enabled()
        with torch.inference_mode(False):
            assert (x * 2).requires_grad
        assert torch.is_grad_enabled() and not (x * 2).requires_grad
    assert torch.is_grad_enabled() and (x * 2).requires_grad


def test_what_a_tensor_retains_goes_with_no_copy_of_it():
    y = torch.ones(2, requires_grad=True) * 2
    y.retain_grad()
    assert pickle.loads(pickle.dumps(y)).tolist() == copy.copy(y).tolist() == [2.0, 2.0]
    y.normal_()
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]


def test_a_frozen_leaf_with_hooks_is_let_go_of():
    w = torch.ones(2, requires_grad=True)
    w.register_hook(lambda g, own=w: g * own.numel())
    w.register_post_accumulate_grad_hook(lambda p: None)
    w.requires_grad_(False)
    gone = weakref.ref(w)
    del w
    gc.collect()
    assert gone() is None


def test_the_hooks_of_a_tensor_get_one_tensor():
    seen = []

    def leave_a_note(g):
        g.note = 3

    def read_it(g):
        seen.append(g.note)
        return g * 2

    x = torch.ones(2, requires_grad=True)
    y = x * 1
    y.register_hook(leave_a_note)
    y.register_hook(read_it)
    y.register_hook(lambda g: seen.append(hasattr(g, "note")))
    y.grad_fn.register_prehook(lambda grads: leave_a_note(grads[0]))
    y.grad_fn.register_prehook(lambda grads: seen.append(grads[0].note))
    y.grad_fn.register_hook(lambda grads, above: leave_a_note(grads[0]))
    y.grad_fn.register_hook(lambda grads, above: seen.append(grads[0].note))
    y.sum().backward()
    assert seen == [3, False, 3, 3]
    assert x.grad.tolist() == [2, 2]


def test_grad_asks_collections_that_are_no_tensors():
    class Pair:
        def __init__(self, *parts):
            self.parts = parts

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            assert func is torch.autograd.grad and types == (Pair,) and not kwargs["create_graph"]
            (outputs,), (inputs,) = args
            return Pair(*func(outputs.parts, inputs.parts, kwargs["grad_outputs"].parts))

    x, y = leaf(2.0), leaf(3.0)
    ones = Pair(torch.ones_like(x), torch.ones_like(y))
    found = torch.autograd.grad(Pair(x * y, y * y), Pair(x, y), ones)
    assert [g.item() for g in found.parts] == [3.0, 8.0]


def test_detect_anomaly_sees_nan_in_every_gradient():
    for value in (torch.tensor(-1.0), torch.tensor([-1.0]), torch.tensor(-1.0).bfloat16()):
        x = value.requires_grad_()
        with pytest.warns(UserWarning), torch.autograd.detect_anomaly():
            y = x.sqrt() * 0
            with pytest.raises(
                RuntimeError, match="'SqrtBackward0' returned nan values in its 0th"
            ):
                y.backward()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((5,), r"size of tensor a \(2\) must match the size of tensor b \(5\)"),
     ((2, 2), r"output with shape \[2\] doesn't match the broadcast shape \[2, 2\]")],
)  # fmt: skip
def test_a_gradient_of_another_shape_is_not_added(shape, message):
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    p.data = torch.zeros(shape)
    with pytest.raises(RuntimeError, match=message):
        p.sum().backward()
    assert p.grad.tolist() == [1, 1]


def test_in_place_activations_have_no_gradient_for_a_negative_slope():
    F = torch.nn.functional
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    for call in (F.leaky_relu_, F.elu_, F.celu_, lambda y, s: F.rrelu_(y, s, s)):
        y = call(x.sin(), -0.1)
        for symbolic in (False, True):
            with pytest.raises(RuntimeError, match="triggered with a negative slope"):
                torch.autograd.grad(y.sum(), x, retain_graph=True, create_graph=symbolic)
        torch.autograd.grad(call(x.sin(), 0.1).sum(), x)
        with torch.no_grad():
            call(x.sin(), -0.1)
    with pytest.raises(RuntimeError, match="triggered with a negative slope"):
        torch.compile(lambda x: torch.autograd.grad(F.leaky_relu_(x.sin(), -0.1).sum(), x))(x)
