"""torch.fx: traces, graphs and their code are PyTorch's, and programs that edit graphs run."""

import copy
import math
import operator
import pickle
from collections import OrderedDict

import pytest

import rushlight

try:
    import torch as pytorch
except ImportError:
    pytorch = None

FRAMEWORKS = [rushlight] + ([pytorch] if pytorch else [])
both = pytest.mark.parametrize("torch", FRAMEWORKS, ids=lambda t: t.__name__)


def text_of(graph_module):
    """Code and graph. PyTorch's C functions have other homes, and tables show addresses."""
    text = f"{graph_module.code}\n{graph_module.graph}\n{graph_module}"
    text = text.replace("torch._C._nn.", "torch.nn.functional.")
    return text.replace("torch.functional.", "torch.").replace("rushlight.", "torch.")


# Traces -----------------------------------------------------------------------------------


def small_net(torch):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv = nn.Conv2d(width, width, 3, padding=1)
            self.norm = nn.BatchNorm2d(width)

        def forward(self, x):
            return torch.relu(self.norm(self.conv(x)) + x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(Block(2), Block(2))
            self.weight = nn.Parameter(torch.ones(2, 1, 1))
            self.register_buffer("shift", torch.zeros(1))
            self.constant = torch.full((1,), 2.0)
            self.head = nn.Linear(2, 3)

        def forward(self, x, scale: float = 1.0):
            x = self.blocks(x) * self.weight + self.shift * self.constant
            x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
            return {"logits": self.head(x) * scale, "mean": x.mean(dim=1)}

    torch.manual_seed(0)
    return Net().eval()


def functions(torch):
    F = torch.nn.functional

    def arithmetic(x, y):
        z = 1 - x * 2 + y / 3 // 1 % 5
        z += 2
        return -(z**2) @ y, ~(x > 0) & (y <= 1) | (x == y) ^ (x != 3), abs(z), 2**x

    def indexing(x, i):
        a, b = x
        return x[0], x[:, 1:2], x[..., None], x[i], a + b, x[i, :2]

    def attributes(x):
        n = x.shape[0]
        return x.view(n, -1).T, x.size(0), x.to(torch.float64).type(torch.float32), x.dtype

    def functional(x):
        y = F.max_pool2d(F.relu(x), 2)
        y = F.dropout(F.leaky_relu(y, 0.2), 0.3, training=False)
        y = F.softmax(F.gelu(F.relu6(y)), 1)
        y = F.interpolate(F.silu(y, inplace=True), scale_factor=2)
        return F.cross_entropy(y, y), F.layer_norm(y, (3,)), F.normalize(y), F.avg_pool2d(y, 2)

    def of_torch(x, y):
        z = torch.cat([x, y], dim=1)
        z = torch.where(z > 0, torch.add(z, 1), torch.flatten(z, 1))
        return torch.einsum("ij,jk->ik", z, z), torch.stack((x, y)), torch.max(z, dim=1)[0]

    def unused(x):
        x.add(1)
        torch.relu(x)
        return x

    def defaults(x, a=1, *rest, b=2, **named):
        return x + a + b, rest[0], named["q"]

    def names(input, sum, a_1, a):
        return input + sum + a_1 + a, max(a, 1) if False else a.max()

    def hints(x: torch.Tensor, n: int, many: list[int]) -> torch.Tensor:
        return x + n

    def containers(x):
        return (x,), [x, x + 1], {"a": (x, slice(x, None, 2))}, float("inf"), "text", torch.float32

    return [
        arithmetic, indexing, attributes, functional, of_torch, unused, defaults, names, hints,
        containers,
    ]  # fmt: skip


@pytest.mark.parametrize("i", range(10))
def test_code_and_graphs_are_those_of_pytorch(i):
    torch = pytest.importorskip("torch")
    ours, theirs = [text_of(t.fx.symbolic_trace(functions(t)[i])) for t in (rushlight, torch)]
    assert ours == theirs


def test_the_code_of_a_model_is_that_of_pytorch(capsys):
    torch = pytest.importorskip("torch")
    ours, theirs = [t.fx.symbolic_trace(small_net(t)) for t in (rushlight, torch)]
    assert ours.code == theirs.code and str(ours.graph) == str(theirs.graph)
    tables = []
    for traced in (ours, theirs):
        for node in traced.graph.nodes:  # the texts of functions differ
            if callable(node.target):
                node.target = node.target.__name__
        capsys.readouterr()
        traced.graph.print_tabular()
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]


@both
def test_a_traced_model_computes_the_same(torch):
    net = small_net(torch)
    traced = torch.fx.symbolic_trace(net)
    x = torch.rand(2, 2, 4, 4)
    for key, value in net(x).items():
        torch.testing.assert_close(traced(x)[key], value)
    assert {*dict(traced.named_parameters())} == {*dict(net.named_parameters())}
    assert traced.head.weight is net.head.weight
    assert type(traced).__name__ == "Net" and isinstance(traced, torch.fx.GraphModule)
    assert [*traced.state_dict()] and not traced.training


@both
def test_concrete_arguments(torch):
    def f(x, flip, n=2):
        return -x if flip else x * n

    traced = torch.fx.symbolic_trace(f, concrete_args={"flip": True})
    assert traced(torch.ones(1), True).tolist() == [-1]
    with pytest.raises(AssertionError, match="flip has been specialized"):
        traced(torch.ones(1), False)


@both
def test_a_tracer_that_records_the_regions_of_profiles(torch):
    regions = torch.ops.profiler
    tracer = torch.fx.Tracer()

    def f(x):
        handle = tracer.create_proxy(
            "call_function", regions._record_function_enter, ("region",), {}
        )
        y = x.relu()
        regions._record_function_exit(handle)
        return y

    traced = torch.fx.GraphModule(torch.nn.Module(), tracer.trace(f))
    with torch.profiler.profile() as profiled:
        traced(torch.ones(2))
    assert "region" in [event.name for event in profiled.events()]


@both
def test_what_depends_on_values_raises(torch):
    def branch(x):
        return x if x.sum() > 0 else -x

    def loop(x):
        return sum(y for y in x)

    def length(x):
        return x.__len__()

    for f, words in ((branch, "control flow"), (loop, "cannot be iterated"), (length, "'len'")):
        with pytest.raises((RuntimeError, ValueError), match=words):
            torch.fx.symbolic_trace(f)

    def write(x):
        x[0] = 1

    with pytest.raises(TypeError, match="does not support item assignment"):
        torch.fx.symbolic_trace(write)


helper_calls = []


@rushlight.fx.wrap
def helper(x, n):
    helper_calls.append(n)
    return x * n


rushlight.fx.wrap("len")


def test_wrapped_functions_stay_whole():
    torch = rushlight
    traced = torch.fx.symbolic_trace(lambda x: helper(x, 3) + len(x) + math.sqrt(x.shape[0]))
    assert not helper_calls
    targets = [n.target for n in traced.graph.nodes if n.op == "call_function"]
    assert helper in targets and len in targets and math.sqrt in targets
    assert traced(torch.ones(4)).tolist() == [9, 9, 9, 9] and helper_calls == [3]
    assert len([1, 2]) == 2 and helper(2, 2) == 4  # the patches are taken back


@both
def test_leaf_modules_are_a_tracers_choice(torch):
    class Deep(torch.fx.Tracer):
        def is_leaf_module(self, m, name):
            return isinstance(m, torch.nn.Conv2d | torch.nn.BatchNorm2d)

    graph = Deep().trace(small_net(torch))
    assert {n.target for n in graph.nodes if n.op == "call_module"} == {
        "blocks.0.conv", "blocks.0.norm", "blocks.1.conv", "blocks.1.norm",
    }  # fmt: skip
    names = {getattr(n.target, "__name__", "") for n in graph.nodes if n.op == "call_function"}
    assert {"relu", "linear"} <= names


def test_module_and_getattr_are_restored_after_an_error():
    nn = rushlight.nn
    before = nn.Module.__call__, nn.Module.__getattr__
    with pytest.raises(ValueError):
        rushlight.fx.symbolic_trace(lambda x: 1 if x else 2)
    assert (nn.Module.__call__, nn.Module.__getattr__) == before
    with pytest.raises(AttributeError):
        _ = nn.Linear(1, 1).missing


@both
def test_modules_of_torch_nn_are_leaves(torch):
    nn = torch.nn
    net = nn.ModuleDict(
        {
            "lstm": nn.LSTM(2, 3),
            "attention": nn.MultiheadAttention(2, 1),
            "e": nn.Embedding(3, 2),
        }
    )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = net

        def forward(self, x, i):
            y, (h, c) = self.parts["lstm"](x)
            z, _ = self.parts["attention"](x, x, x)
            return y, h, c, z, self.parts["e"](i)

    traced = torch.fx.symbolic_trace(Net())
    x, i = torch.rand(2, 1, 2), torch.tensor([1])
    for a, b in zip(traced(x, i), Net()(x, i), strict=True):
        torch.testing.assert_close(a, b)


# Graphs by hand ---------------------------------------------------------------------------


@both
def test_a_graph_made_by_hand(torch):
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    w = graph.get_attr("w")
    a = graph.call_module("layer", (x,))
    b = graph.call_method("view", (a, -1))
    c = graph.call_function(torch.nn.functional.relu, (b,), {"inplace": False})
    d = graph.create_node("call_function", operator.add, (c, w), name="total")
    graph.output(d)
    graph.lint()
    assert [n.name for n in graph.nodes] == ["x", "w", "layer", "view", "relu", "total", "output"]
    root = {"layer": torch.nn.Linear(2, 2), "w": torch.ones(1)}
    module = torch.fx.GraphModule(root, graph)
    x = torch.rand(1, 2)
    torch.testing.assert_close(module(x), torch.relu(root["layer"](x)).view(-1) + 1)
    with pytest.raises(RuntimeError, match="was not provided in"):
        torch.fx.GraphModule({}, graph)


@both
def test_a_graph_of_proxies(torch):
    graph = torch.fx.Graph()
    x = torch.fx.Proxy(graph.placeholder("x"))
    y = torch.nn.functional.relu(x) * 2
    graph.output((y + x.sum()).node)
    module = torch.fx.GraphModule(torch.nn.Module(), graph)
    assert module(torch.ones(2)).tolist() == [4, 4]
    assert "torch.nn.functional.relu" in module.code


@both
def test_editing(torch):
    def f(x):
        return torch.relu(x) + torch.relu(-x)

    traced = torch.fx.symbolic_trace(f)
    graph = traced.graph
    for node in graph.nodes:
        if node.target is torch.relu:
            with graph.inserting_after(node):
                new = graph.call_function(torch.sigmoid, node.args, node.kwargs)
            node.replace_all_uses_with(new)
            graph.erase_node(node)
    graph.lint()
    traced.recompile()
    x = torch.rand(3)
    torch.testing.assert_close(traced(x), torch.sigmoid(x) + torch.sigmoid(-x))
    (add,) = [n for n in graph.nodes if n.target is operator.add]
    assert [n.name for n in add.all_input_nodes] == ["sigmoid", "sigmoid_1"]
    with graph.inserting_before(add):
        scaled = graph.call_function(operator.mul, (add.args[0], 10))
    add.replace_input_with(add.args[0], scaled)
    add.update_arg(1, 0)
    assert graph.eliminate_dead_code()
    traced.recompile()
    torch.testing.assert_close(traced(x), torch.sigmoid(x) * 10)
    assert "neg" not in traced.code
    add.args = (add.args[0], 5)
    assert add.args[1] == 5 and scaled.users == {add: None}
    scaled.append(graph.call_function(torch.neg, (scaled,)))
    assert scaled.next.name == "neg_1" or scaled.next.name == "neg"


@both
def test_lint_finds_faults(torch):
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(torch.neg, (x,))
    graph.output(y)
    with pytest.raises(RuntimeError, match="still had 1 users"):
        graph.erase_node(x)
    x.prepend(y)
    with pytest.raises(RuntimeError, match="used before it has been defined"):
        graph.lint()
    other = torch.fx.Graph()
    other.call_function(torch.neg, (x,))
    with pytest.raises(RuntimeError, match="does not belong to this Graph"):
        other.lint()


@both
def test_dead_code_keeps_effects(torch):
    def f(x):
        torch._assert(x.sum() > 0, "positive")
        torch.relu(x)
        return x

    traced = torch.fx.symbolic_trace(f)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    assert "relu" not in traced.code
    with pytest.raises(AssertionError, match="positive"):
        traced(torch.zeros(1))


def test_dead_code_keeps_writes():
    traced = rushlight.fx.symbolic_trace(lambda x: (x.add_(1), x)[1])
    traced.graph.eliminate_dead_code()
    traced.recompile()
    assert traced(rushlight.ones(1)).tolist() == [2]


@both
def test_operands_are_not_changed_in_place(torch):
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(torch.cat, ([x, x],), {"dim": 0})
    with pytest.raises(Exception, match="does not support mutation"):
        y.args[0].append(x)
    with pytest.raises(Exception, match="does not support mutation"):
        y.kwargs["dim"] = 1


@both
def test_map_arg_and_map_aggregate(torch):
    node = torch.fx.Graph().placeholder("x")
    from_node = torch.fx.node
    found = from_node.map_arg((node, [1, {"a": node}], slice(node, None)), lambda n: n.name)
    assert found == ("x", [1, {"a": "x"}], slice("x", None))
    assert from_node.map_aggregate([1, (2,)], lambda v: v + 1) == [2, (3,)]


@both
def test_graph_copies(torch):
    traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    graph = torch.fx.Graph()
    values = {}
    result = graph.graph_copy(traced.graph, values)
    graph.output(graph.call_function(torch.neg, (result,)))
    module = torch.fx.GraphModule(traced, graph)
    assert module(torch.ones(1)).tolist() == [-2]
    again = copy.deepcopy(traced.graph)
    assert str(again) == str(traced.graph) and again is not traced.graph


@both
def test_copies_and_pickles(torch):
    net = small_net(torch)
    traced = torch.fx.symbolic_trace(net)
    x = torch.rand(1, 2, 4, 4)
    for other in (copy.deepcopy(traced), pickle.loads(pickle.dumps(traced)), copy.copy(traced)):
        torch.testing.assert_close(other(x)["logits"], traced(x)["logits"])
        assert other.code == traced.code
        assert isinstance(other, torch.fx.GraphModule)
    other = copy.deepcopy(traced)
    other.head.weight.data.zero_()
    assert traced.head.weight.abs().sum() > 0


def test_pickles_keep_functions_of_the_program(tmp_path):
    torch = rushlight
    traced = torch.fx.symbolic_trace(lambda x: torch.linalg.norm(helper(x, 3)) + len(x))
    torch.save(traced, tmp_path / "traced.pt")
    found = torch.load(tmp_path / "traced.pt", weights_only=False)
    assert found(torch.ones(4)).item() == traced(torch.ones(4)).item() == 10


def test_to_folder(tmp_path, monkeypatch):
    traced = rushlight.fx.symbolic_trace(small_net(rushlight))
    traced.to_folder(tmp_path / "made_by_fx", "Made")
    monkeypatch.syspath_prepend(tmp_path)
    made = __import__("made_by_fx").Made().eval()
    x = rushlight.rand(1, 2, 4, 4)
    rushlight.testing.assert_close(made(x)["logits"], traced(x)["logits"])


def test_a_line_of_generated_code_may_bind_a_negative_number():
    def f(x):
        return operator.pow(-2, x)

    traced = rushlight.fx.symbolic_trace(f)
    assert traced(rushlight.tensor(2.0)).item() == f(rushlight.tensor(2.0)).item() == 4


def test_gradients_flow_through_a_traced_model():
    torch = rushlight
    net = small_net(torch)
    traced = torch.fx.symbolic_trace(net)
    x = torch.rand(1, 2, 4, 4)
    wanted = torch.autograd.grad(net(x)["logits"].sum(), list(net.parameters()))
    found = torch.autograd.grad(traced(x)["logits"].sum(), list(traced.parameters()))
    by_id = dict(zip(map(id, traced.parameters()), found, strict=True))
    for p, g in zip(net.parameters(), wanted, strict=True):
        torch.testing.assert_close(by_id[id(p)], g)


def test_a_traced_model_compiles():
    torch = rushlight
    traced = torch.fx.symbolic_trace(small_net(torch))
    x = torch.rand(1, 2, 4, 4)
    compiled = torch.compile(traced, fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(compiled(x)["logits"], traced(x)["logits"])


def test_submodules_of_a_graph_module():
    torch = rushlight
    traced = torch.fx.symbolic_trace(small_net(torch))
    assert traced.add_submodule("extra.deep", torch.nn.ReLU())
    assert isinstance(traced.extra.deep, torch.nn.ReLU)
    traced.delete_all_unused_submodules()
    assert not hasattr(traced.extra if hasattr(traced, "extra") else traced, "deep")
    assert traced.delete_submodule("head") and not traced.delete_submodule("head")


# Interpreters and patterns ----------------------------------------------------------------


@both
def test_interpreters(torch):
    class Swapped(torch.fx.Interpreter):
        def call_function(self, target, args, kwargs):
            target = torch.neg if target is torch.sigmoid else target
            return super().call_function(target, args, kwargs)

        def call_method(self, target, args, kwargs):
            if target == "neg":
                return super().call_method("abs", args, kwargs)
            return super().call_method(target, args, kwargs)

    traced = torch.fx.symbolic_trace(lambda x, k=3: torch.sigmoid(x).neg() + k)
    x = torch.tensor([-2.0, 3.0])
    assert Swapped(traced).run(x).tolist() == [5, 6]
    assert torch.fx.Interpreter(traced).run(x, 0).tolist() == traced(x, 0).tolist()
    node = next(n for n in traced.graph.nodes if n.target == "neg")
    run = torch.fx.Interpreter(traced).run(x, initial_env={node: torch.ones(2)})
    assert run.tolist() == [4, 4]


@both
def test_transformers(torch):
    class Swapped(torch.fx.Transformer):
        def call_function(self, target, args, kwargs):
            if target is torch.sigmoid:
                return super().call_function(torch.tanh, args, kwargs) * 2
            return super().call_function(target, args, kwargs)

    traced = torch.fx.symbolic_trace(small_net(torch))
    plain = torch.fx.Transformer(traced).transform()
    x = torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(plain(x)["logits"], traced(x)["logits"])
    made = Swapped(torch.fx.symbolic_trace(lambda x: torch.sigmoid(x))).transform()
    torch.testing.assert_close(made(x), torch.tanh(x) * 2)


def rewrites(torch):
    F = torch.nn.functional
    return [
        (lambda x, w1, w2: torch.cat([w1 + x, w2]).sum() * torch.cat([w2 + x, w1]).sum(),
         lambda a, b, c: torch.cat([b + a, c]).sum(), lambda a, b, c: torch.stack([b, c]).sum()),
        (lambda x: torch.neg(torch.relu(torch.neg(torch.relu(x)))) + 1,
         lambda x: torch.neg(torch.relu(x)), lambda x: torch.sigmoid(x)),
        (lambda x, y: F.relu(x) + F.relu(y), lambda x: F.relu(x), lambda x: F.gelu(x)),
        (lambda x: torch.add(torch.mul(x, 2), 3), lambda a, b: torch.add(a, b),
         lambda a, b: torch.sub(a, b)),
        (lambda x: (torch.relu(x), torch.relu(x).neg()), lambda x: torch.relu(x).neg(),
         lambda x: torch.abs(x)),
        (lambda x: x.neg().abs() * x.neg(), lambda x: x.neg().abs(), lambda x: x.sqrt()),
        (lambda x: x + 1 + 2, lambda x: x + 2, lambda x: x * 4),
    ]  # fmt: skip


@pytest.mark.parametrize("i", range(7))
def test_patterns_are_replaced_as_in_pytorch(i):
    torch = pytest.importorskip("torch")
    found = []
    for t in (rushlight, torch):
        f, pattern, replacement = rewrites(t)[i]
        traced = t.fx.symbolic_trace(f)
        matches = t.fx.replace_pattern(traced, pattern, replacement)
        traced.graph.lint()
        found.append((len(matches), text_of(traced)))
    assert found[0] == found[1]


def test_patterns_of_modules():
    torch = rushlight
    nn = torch.nn
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU())

    class Pattern(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x)

    traced = torch.fx.symbolic_trace(net)
    found = torch.fx.replace_pattern(traced, torch.fx.symbolic_trace(Pattern()), torch.tanh)
    assert len(found) == 2
    x = torch.rand(3, 2)
    torch.testing.assert_close(traced(x), torch.tanh(net[2](torch.tanh(net[0](x)))))


def test_filters_and_callbacks_of_patterns():
    torch = rushlight
    from rushlight.fx.subgraph_rewriter import replace_pattern_with_filters

    traced = torch.fx.symbolic_trace(lambda x: (x + 1) * (x + 5))

    def large(match, graph, pattern):
        return match.anchor.args[1] > 2

    replace_pattern_with_filters(
        traced, lambda x: x + 1, lambda x: x - 1, [large], ignore_literals=True
    )
    assert traced(torch.tensor(2.0)).item() == 3 * 1


@both
def test_shapes_are_noted(torch):
    from importlib import import_module

    ShapeProp = import_module(f"{torch.__name__}.fx.passes.shape_prop").ShapeProp
    traced = torch.fx.symbolic_trace(lambda x: (x.flatten().double(), x.t()))
    ShapeProp(traced).propagate(torch.ones(2, 3))
    metas = {n.name: n.meta.get("tensor_meta") for n in traced.graph.nodes}
    assert metas["double"].shape == (6,) and metas["double"].dtype == torch.float64
    assert metas["t"].stride == (1, 3) and metas["t"].memory_format is None
    assert [m.shape for m in metas["output"]] == [(6,), (3, 2)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of deprecated functions
def test_every_sample_is_traced_or_refused():
    """A traced call computes what the call computes; few are refused that PyTorch traces."""
    from tests.samples import SAMPLES

    traced = 0
    for s in SAMPLES.values():
        if s.draws:
            continue
        names = ", ".join([f"x{i}" for i in range(len(s.inputs))])
        space = {"call": s.call, "torch": rushlight}
        exec(f"def f({names}): return call(torch, {names})", space)
        try:
            graph = rushlight.fx.symbolic_trace(space["f"])
        except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError):
            continue
        traced += 1
        inputs = [[rushlight.from_numpy(a.copy()) for a in s.inputs] for _ in range(2)]
        rushlight.testing.assert_close(
            graph(*inputs[0]), s.call(rushlight, *inputs[1]), equal_nan=True
        )
    assert traced > 2000


def test_functions_that_write_in_place_take_a_proxy():
    graph = rushlight.fx.symbolic_trace(lambda x: rushlight.relu_(rushlight.log_(x))).graph
    assert [node.name for node in graph.nodes] == ["x", "log_", "relu_", "output"]
    with pytest.raises(TypeError, match="must be Tensor"):
        rushlight.log_(3)


def test_the_class_of_a_graph_module_has_pytorchs_qualified_name():
    """accelerate sets the forward of the class of such a module, and deletes it afterwards."""
    traced = rushlight.fx.symbolic_trace(rushlight.nn.Linear(2, 2))
    assert "GraphModuleImpl" in str(type(traced)) and type(traced).__name__ == "Linear"


@both
def test_einsum_is_recorded_with_its_operands_one_by_one(torch):
    graph = torch.fx.symbolic_trace(lambda a, b: torch.einsum("ij,jk", [a, b])).graph
    (found,) = graph.find_nodes(op="call_function", target=torch.einsum)
    assert [str(x) for x in found.args] == ["ij,jk", "a", "b"]


def test_submodules_lie_in_the_order_of_the_graph():
    names = ["w", "k", "c", "z", "a", "m"]
    net = rushlight.nn.Sequential(OrderedDict((n, rushlight.nn.Linear(1, 1)) for n in names))
    assert [n for n, _ in rushlight.fx.symbolic_trace(net).named_children()] == names


@both
def test_custom_codegen_is_given_the_repr_of_the_output(torch):
    class InList(torch.fx.CodeGen):
        def generate_output(self, output_args):
            return f"return list({output_args!r})"

    traced = torch.fx.symbolic_trace(lambda x: (x + 1, x + 2))
    traced.graph.set_codegen(InList())
    traced.recompile()
    found = traced(torch.zeros(1))
    assert type(found) is list and [x.item() for x in found] == [1, 2]


@both
def test_object_of_a_proxyable_class_is_made_when_the_graph_runs(torch):
    class Signed(metaclass=torch.fx.ProxyableClassMeta):
        def __init__(self, x):
            self.negative = bool(x < 0)  # depends on values

    class Shift(metaclass=torch.fx.ProxyableClassMeta):
        def __init__(self, x):
            self.x = x

    traced = torch.fx.symbolic_trace(lambda x: Signed(x))
    assert traced(torch.tensor(-1.0)).negative and not traced(torch.tensor(1.0)).negative
    constant = Shift(torch.ones(1))
    traced = torch.fx.symbolic_trace(lambda x: (x, constant))
    assert traced(torch.zeros(1))[1].x.item() == 1


@both
def test_tracer_of_a_missing_function_and_replica(torch):
    tracer = torch.fx.Tracer()
    tracer.traced_func_name = "backwards"
    with pytest.raises(AssertionError, match="doesn't exist in"):
        tracer.trace(torch.nn.ReLU())
    traced = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.ReLU()))
    assert traced._replicate_for_data_parallel()(torch.tensor([-1.0])).item() == 0
