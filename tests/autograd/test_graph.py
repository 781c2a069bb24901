"""``torch.autograd.graph``: hooks on saved tensors, edges, hooks on several tensors, views of Functions."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.autograd import graph, mode
from rushlight.autograd.tape import Output
from tests.conformance import flat, tensors
from tests.daily import daily
from tests.samples import SAMPLES

F = torch.nn.functional


def frameworks():
    found = [torch]
    try:
        import torch as peer
    except ImportError:
        return found
    return [*found, peer]


each = pytest.mark.parametrize("t", frameworks(), ids=lambda t: t.__name__)


# Saved tensors ----------------------------------------------------------------------------


def doubled(t, seen):
    """Hooks that note shapes and keep twice the value."""

    def pack(x):
        seen.append(tuple(x.shape))
        return x * 2

    return t.autograd.graph.saved_tensors_hooks(pack, lambda kept: (kept / 2).to(kept.dtype))


@each
def test_a_packed_graph_has_the_same_gradients(t):
    x, w = t.ones(3, 4, requires_grad=True), t.ones(4, 2, requires_grad=True)
    labels = t.tensor([0, 1, 1])

    def loss():
        return t.nn.functional.cross_entropy((x @ w).tanh().exp() * x.sum(1, keepdim=True), labels)

    want = t.autograd.grad(loss(), (x, w))
    seen = []
    with doubled(t, seen):
        y = loss()
    assert (4, 2) in seen and (3, 4) in seen
    for _ in range(2):
        for g, h in zip(t.autograd.grad(y, (x, w), retain_graph=True), want, strict=True):
            assert t.allclose(g, h)
    first = t.autograd.grad(y, x, create_graph=True)[0].pow(2).sum()
    again = t.autograd.grad(loss(), x, create_graph=True)[0].pow(2).sum()
    assert t.allclose(t.autograd.grad(first, w)[0], t.autograd.grad(again, w)[0])


@each
def test_the_innermost_hooks_count(t):
    outer, inner = [], []
    x = t.ones(2, requires_grad=True)
    with doubled(t, outer):
        with doubled(t, inner):
            x * x
        assert inner and not outer
        x * x
    assert outer
    before = len(outer)
    x * x
    assert len(outer) == before


@each
def test_what_is_kept_may_be_anything_and_is_not_checked_for_writes(t):
    x = t.tensor([2.0, 3.0], requires_grad=True)
    y = x.clone()
    with t.autograd.graph.saved_tensors_hooks(
        lambda s: s.detach().numpy().copy(), lambda kept: t.from_numpy(kept)
    ):
        z = (y * y).sum()
    with t.no_grad():
        y.zero_()
    z.backward()
    assert x.grad.tolist() == [4, 6]


@each
def test_hooks_that_do_wrong(t):
    x = t.ones(2, requires_grad=True)
    hooks = t.autograd.graph.saved_tensors_hooks
    with pytest.raises(RuntimeError, match="in place"), hooks(lambda s: s.mul_(2), lambda s: s):
        x.clone().exp()
    with hooks(lambda s: s, lambda s: 3):
        y = (x * x).sum()
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor"):
        y.backward()
    with hooks(lambda s: 1 / 0, lambda s: s), pytest.raises(ZeroDivisionError):
        x * x


@each
def test_disabled_hooks(t):
    g = t.autograd.graph

    @g.disable_saved_tensors_hooks("not in here")
    def inside():
        with g.save_on_cpu():
            pass

    with pytest.raises(RuntimeError, match="not in here"):
        inside()
    with (
        g.save_on_cpu(),
        pytest.raises(RuntimeError, match="hooks are set"),
        g.disable_saved_tensors_hooks("hooks are set"),
    ):
        pass
    with g.save_on_cpu(pin_memory=t is torch):
        pass


@each
def test_a_function_saves_through_hooks(t):
    class Square(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    seen, x = [], t.tensor([3.0, 4.0], requires_grad=True)
    with doubled(t, seen):
        y = Square.apply(x).sum()
    assert (2,) in seen
    (g,) = t.autograd.grad(y, x, create_graph=True)
    assert g.tolist() == [6, 8]
    assert t.autograd.grad(g.sum(), x)[0].tolist() == [2, 2]


@each
def test_hooks_on_one_saved_tensor(t):
    x = t.tensor([3.0], requires_grad=True)
    y = x.exp()
    node = (x.sin() * y).grad_fn
    assert t.allclose(node._saved_other, y)
    node._raw_saved_other.register_hooks(lambda s: s + 1, lambda kept: kept - 1)
    assert t.allclose(node._saved_other, y)
    with pytest.raises(RuntimeError, match="already been set"):
        node._raw_saved_other.register_hooks(lambda s: s, lambda s: s)


@each
def test_hooks_on_an_input_inside_the_graph(t):
    """``grad`` gives what came before them where it goes on, ``backward(inputs=…)`` never does."""
    x = t.ones(2, requires_grad=True)

    def graph():
        y = x * 3
        y.register_hook(lambda g: g * 2)
        return y, (y * 5).sum()

    (y, z), found = graph(), []
    found += t.autograd.grad(z, y, retain_graph=True)
    found += t.autograd.grad(z, (x, y), retain_graph=True)
    z.backward(inputs=[y, x])
    assert [g[0].item() for g in (*found, y.grad, x.grad)] == [10, 30, 5, 10, 30]
    assert y.retains_grad
    with pytest.raises(RuntimeError, match="can't retain_grad"):
        graph()[1].backward(inputs=[t.ones(2)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", daily(range(4), 1, "saves"))
def test_every_operation_saves_through_hooks(part):
    """No node keeps an array of its own; and its gradients are the same."""
    missed, count = [], 0
    for name, sample in [*SAMPLES.items()][part::4]:
        if sample.grad:
            torch.manual_seed(0)
            given = tensors(torch, sample, requires_grad=True)
            with graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
                outs = [o for o in flat(sample.call(torch, *given)) if o.requires_grad]
            todo, seen = [o.grad_fn for o in outs], set()
            while todo:
                node = todo.pop()
                if node is None or id(node) in seen:
                    continue
                seen.add(id(node))
                todo += [p for p in node.parents if p is not None]
                if isinstance(node, Output) or node.op is None:
                    continue
                kept = [
                    v
                    for v, origin in zip(node.saved or (), node.op.origins, strict=False)
                    if origin is not None and isinstance(v, np.ndarray)
                ]
                if kept:
                    missed.append((name, node.name()))
            wanted = [t for t in given if t.requires_grad]
            if not outs or not wanted:
                continue
            count += 1
            seeds = [torch.ones_like(o) for o in outs]
            found = torch.autograd.grad(outs, wanted, seeds, allow_unused=True)
            torch.manual_seed(0)
            again = [o for o in flat(sample.call(torch, *given)) if o.requires_grad]
            want = torch.autograd.grad(again, wanted, seeds, allow_unused=True)
            for g, h in zip(found, want, strict=True):
                assert (g is None) == (h is None), name
                if g is not None:
                    assert torch.allclose(g, h, equal_nan=True, rtol=1e-4, atol=1e-6), name
    assert not missed, set(missed)
    assert count > 50
    assert mode.state.packing is None


# Edges ------------------------------------------------------------------------------------


@each
def test_gradient_edges(t):
    g = t.autograd.graph
    x = t.tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    edge = g.get_gradient_edge(y)
    assert edge.output_nr == 0 and edge.node is y.grad_fn and isinstance(edge.node, g.Node)
    assert t.autograd.grad(y.sum() * 2, edge)[0].tolist() == [2, 2]
    assert t.autograd.grad(edge, x, t.ones(2))[0].tolist() == [4, 6]
    parts = (x * 1).unbind()
    edge = g.get_gradient_edge(parts[1])
    assert edge.output_nr == 1 and edge.node.name() == "UnbindBackward0"
    assert t.autograd.grad(parts[1] * 5, edge)[0].item() == 5
    leaf = g.get_gradient_edge(x)
    assert leaf.node.name() == "torch::autograd::AccumulateGrad"
    assert type(leaf.node).__name__ == "AccumulateGrad"
    assert t.autograd.grad((x * 3).sum(), [leaf])[0].tolist() == [3, 3]
    t.autograd.backward(g.get_gradient_edge((x * 3).sum()), t.tensor(2.0))
    assert x.grad.tolist() == [6, 6]
    with pytest.raises(RuntimeError, match="require"):
        g.get_gradient_edge(t.ones(2))


@each
def test_an_incremented_version_is_a_write(t):
    x = t.ones(2, requires_grad=True)
    y = x.exp()
    z = y * y
    t.autograd.graph.increment_version(y)
    t.autograd.graph.increment_version([y])
    assert y._version == 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@each
def test_names_of_nodes_lead_to_their_parents(t):
    x = t.ones(2, requires_grad=True)
    node = (x.exp() * 2).grad_fn
    assert node.name() == "MulBackward0"
    assert [(n.name(), k) for n, k in node.next_functions if n] == [("ExpBackward0", 0)]
    node.metadata["note"] = 1
    assert node.metadata == {"note": 1}
    calls = []
    before = node.register_prehook(lambda grads: calls.append("before"))
    node.register_hook(lambda ins, outs: calls.append("after"))
    (x.exp() * 2).sum().backward()
    assert not calls
    y = (x.exp() * 2).sum()
    y.grad_fn.register_hook(lambda ins, outs: calls.append("after"))
    y.grad_fn.register_prehook(lambda grads: calls.append("before"))
    y.backward()
    assert calls == ["before", "after"]
    before.remove()


@each
def test_hooks_on_several_tensors(t):
    x, y, z = (t.ones(2, requires_grad=True) for _ in range(3))
    calls = []
    register = t.autograd.graph.register_multi_grad_hook
    handle = register((x, y, z), lambda grads: calls.append([g is not None for g in grads]))
    (x * 2 + y).sum().backward()
    (x + y + z).sum().backward()
    assert calls == [[True, True, False], [True, True, True]]
    handle.remove()
    x.sum().backward()
    assert len(calls) == 2
    found = []
    register((x, y), found.append, mode="any")
    (x * 3 + y * 3).sum().backward()
    assert [g.tolist() for g in found] == [[3, 3]]
    with pytest.raises(ValueError, match="mode"):
        register((x,), print, mode="some")


# Views that a Function returns --------------------------------------------------------------


def views(t):
    class Part(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, g):
            return t.cat([g * 2, g[:1] * 0])

    class Same(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Own(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return (x * 2).view(3, 1)

        @staticmethod
        def backward(ctx, g):
            return g.view(3) * 2

    return Part, Same, Own


@each
def test_a_view_that_a_function_returns_is_not_written(t):
    for function in views(t):
        x = t.ones(3, requires_grad=True)
        y = function.apply(x.clone())
        with pytest.raises(RuntimeError, match="custom Function"):
            y.mul_(2)
        with pytest.raises(RuntimeError):
            y[:1].mul_(2)
        copy = y.clone()
        copy.mul_(2).sum().backward()
        assert x.grad[0].item() == 4
        with t.no_grad():
            y.mul_(2)
        assert function.apply(t.ones(3)).mul_(2)[0].item() in (2, 4)  # without gradients


@each
def test_a_function_s_view_ends_with_a_write_to_its_base(t):
    part, _, _ = views(t)
    base = t.ones(3, requires_grad=True).clone()
    y = part.apply(base)
    base.mul_(3)
    with pytest.raises(RuntimeError, match="modified inplace"):
        y * 1


@each
def test_flags(t):
    assert not t.is_anomaly_enabled() and t.is_anomaly_check_nan_enabled()
    with pytest.warns(UserWarning) if t is not torch else t.no_grad():
        detect = t.autograd.detect_anomaly(check_nan=False)
    with detect:
        assert t.is_anomaly_enabled() and not t.is_anomaly_check_nan_enabled()
    with t.autograd.set_multithreading_enabled(False):
        x = t.ones(2, requires_grad=True)
        x.sum().backward()
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    "f",
    [
        lambda x, w: F.conv2d(x, w, padding=1),
        lambda x, w: F.conv2d(x, w, stride=2),
        lambda x, w: F.conv_transpose2d(x, w, padding=1),
        lambda x, w: F.max_pool2d(x, 3, 2, 1) * w.sum(),
        lambda x, w: F.avg_pool2d(x, 3, 2, 1) * w.sum(),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_gradients_of_windows_can_be_viewed(f, again):
    """As a gradient penalty does, with ``gradient.view(len(x), -1)``."""
    x, w = torch.ones(2, 3, 8, 8, requires_grad=True), torch.ones(3, 3, 3, 3, requires_grad=True)
    slopes = torch.autograd.grad(f(x, w).square().sum(), (x, w), create_graph=again)
    assert slopes[0].is_contiguous()
    assert all(t.view(len(t), -1).shape[0] == len(t) for t in slopes)


def test_hooks_on_the_node_of_a_leaf_run_around_the_accumulation():
    x, log = torch.ones(2, requires_grad=True), []
    node = x.view_as(x).grad_fn.next_functions[0][0]
    node.register_prehook(lambda grads: log.append(x.grad) or (grads[0] * 10,))
    handle = node.register_hook(lambda before, after: log.append((before, after[0].tolist())))
    x.register_hook(lambda g: log.append("tensor"))
    x.register_post_accumulate_grad_hook(lambda x: log.append(x.grad.tolist()))
    torch.autograd.grad((x * 3).sum(), x)
    assert log == ["tensor"]  # nothing is accumulated
    (x * 3).sum().backward()
    assert log == ["tensor", "tensor", None, [30, 30], ((), [30, 30])]
    handle.remove()
    (x * 3).sum().backward(inputs=x)
    assert len(log) == 8 and x.grad.tolist() == [60, 60]


def test_hooks_of_a_node_with_several_outputs_get_all_gradients():
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    variance, mean = torch.var_mean(x)
    log = []
    mean.grad_fn.register_prehook(lambda grads: (grads[0] * 2, grads[1] * 2))
    mean.grad_fn.register_hook(lambda inputs, outputs: log.append([g.tolist() for g in outputs]))
    (variance + mean).backward()
    assert log == [[2, 2]] and x.grad.tolist() == [-3, 5]
    first = x.detach().requires_grad_().chunk(2)[0]
    first.grad_fn.register_prehook(lambda grads: log.append(grads[1]))
    first.sum().backward()
    assert log[-1] is None


def test_a_hook_of_several_tensors_waits_for_those_of_this_backward():
    x, y, z = (torch.ones(1, requires_grad=True) for _ in range(3))
    log = []
    torch.autograd.graph.register_multi_grad_hook(
        (x, y, z), lambda grads: log.append([g is not None for g in grads])
    )
    out = (x + y + z).sum()
    out.backward(inputs=(x, z), retain_graph=True)
    torch.autograd.grad(out, y, retain_graph=True)
    out.backward()
    assert log == [[True, False, True], [False, True, False], [True, True, True]]


def test_a_hook_that_returns_another_number_of_gradients():
    for register in ("register_hook", "register_prehook"):
        y = torch.ones(2, requires_grad=True) * 2
        getattr(y.grad_fn, register)(lambda *grads: ())
        with pytest.raises(RuntimeError, match="got 0, but expected"):
            y.sum().backward()


def test_zeros_in_place_of_gradients_can_be_differentiated():
    x, a = (torch.tensor(1.0, requires_grad=True) for _ in range(2))
    first = torch.autograd.grad(x * a, x, create_graph=True)
    second = torch.autograd.grad(first, x, create_graph=True, materialize_grads=True)
    assert torch.autograd.grad(second, x, materialize_grads=True) == (0,)


# Calls of nodes ---------------------------------------------------------------------------


@each
def test_a_node_can_be_called(t):
    x, w = t.tensor([1.0, 2.0], requires_grad=True), t.tensor([3.0, 4.0], requires_grad=True)
    g = t.ones(2)
    y = x * w
    dx, dw = y.grad_fn(g)
    assert dx.tolist() == [3, 4] and dw.tolist() == [1, 2]
    assert t.autograd.grad(dx.sum(), w)[0].tolist() == [1, 1]
    assert y.grad_fn(g)[0].tolist() == [3, 4], "the saved values were kept"
    assert (x * 2).grad_fn(g)[1] is None and x.exp().sum().grad_fn(t.ones(())).tolist() == [1, 1]
    first, _ = x.split(1)
    assert first.grad_fn(t.ones(1), None).tolist() == [1, 0]
    assert (x * 2).grad_fn.next_functions[0][0](g) == () and x.grad.tolist() == [1, 1]
    for wrong, message in (((), "expected 1 arguments"), ((g, g), "got 2"), ((1.0,), "argument 0")):
        with pytest.raises(TypeError, match=message):
            y.grad_fn(*wrong)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.grad_fn(g)


@each
def test_the_node_of_a_custom_function_is_applied(t):
    class Scaled(t.autograd.Function):
        @staticmethod
        def forward(ctx, k, x):
            ctx.k = k
            return x * k

        @staticmethod
        def backward(ctx, g):
            return None, g * ctx.k

    node = Scaled.apply(3, t.ones(2, requires_grad=True)).grad_fn
    nothing, dx = node.apply(t.ones(2))
    assert nothing is None and dx.tolist() == [3, 3]
    with pytest.raises(TypeError, match="'ScaledBackward' object is not callable"):
        node(t.ones(2))


# Saved tensors that are written -----------------------------------------------------------


@each
def test_saved_tensors_may_be_written_in_the_context(t):
    x = t.full((2,), 3.0, requires_grad=True)
    w = t.full((2,), 5.0, requires_grad=True)
    allow = t.autograd.graph.allow_mutation_on_saved_tensors
    with allow() as context:
        a = x.clone()
        y, z = (a**3).sum(), (a * w).exp().log().sum()
        a.zero_()
        with t.no_grad():
            w.zero_()
        (g,) = t.autograd.grad(y, x, create_graph=True)
        assert g.tolist() == [27, 27] and t.autograd.grad(g.sum(), x)[0].tolist() == [18, 18]
        assert t.autograd.grad(z, x, retain_graph=True)[0].tolist() == pytest.approx([5, 5])
        context.clear()
        with pytest.raises(AssertionError, match="originally recorded"):
            z.backward()
        with pytest.raises(RuntimeError, match="cannot be nested"):
            allow().__enter__()
        late = (x**2).sum()
    with pytest.raises(AssertionError, match="originally recorded"):
        late.backward()


@each
def test_saved_values_are_shown_with_their_history(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x.pow(2)
    assert y.grad_fn._saved_self is x
    assert y.grad_fn._saved_exponent == 2
    e = y.exp()
    assert e.grad_fn._saved_result.grad_fn is e.grad_fn
    assert e.grad_fn._saved_result is not e
    product = e * y
    assert product.grad_fn._saved_self.grad_fn is e.grad_fn
    assert product.grad_fn._saved_other.grad_fn is y.grad_fn
    (g,) = t.autograd.grad(product.grad_fn._saved_other.sum(), x, retain_graph=True)
    assert g.tolist() == [2, 4]
    assert not hasattr(y.grad_fn, "_saved_nothing")
    assert not hasattr(y.grad_fn, "saved_self")
    product.sum().backward()
    with pytest.raises(RuntimeError, match=r"second time|already been freed"):
        product.grad_fn._saved_self  # noqa: B018
