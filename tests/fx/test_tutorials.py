"""The programs of PyTorch's tutorials on torch.fx."""

import copy
import statistics
import time
import warnings

import pytest

import rushlight

try:
    import torch as pytorch
except ImportError:
    pytorch = None

both = pytest.mark.parametrize(
    "torch", [rushlight] + ([pytorch] if pytorch else []), ids=lambda t: t.__name__
)


def wrapped_conv_net(torch):
    nn = torch.nn

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.mod = nn.BatchNorm2d(1)

        def forward(self, x):
            return self.mod(x)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 1, 1)
            self.bn1 = nn.BatchNorm2d(1)
            self.conv2 = nn.Conv2d(1, 1, 1)
            self.nested = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1))
            self.wrapped = Wrapped()

        def forward(self, x):
            x = self.conv1(x)
            x = self.bn1(x)
            x = self.conv2(x)
            x = self.nested(x)
            return self.wrapped(x)

    torch.manual_seed(0)
    model = M()
    model(torch.rand(4, 1, 3, 3))  # running statistics
    return model.eval()


@both
def test_fusing_convolutions_with_batch_norms(torch):
    nn, fx = torch.nn, torch.fx

    def fuse_conv_bn_eval(conv, bn):
        fused = copy.deepcopy(conv)
        scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        bias = conv.bias if conv.bias is not None else torch.zeros_like(bn.running_mean)
        fused.weight = nn.Parameter(conv.weight * scale.reshape(-1, 1, 1, 1))
        fused.bias = nn.Parameter((bias - bn.running_mean) * scale + bn.bias)
        return fused

    def parent_name(target):
        *parent, name = target.rsplit(".", 1)
        return parent[0] if parent else "", name

    def fuse(model):
        model = copy.deepcopy(model)
        fx_model = fx.symbolic_trace(model)
        modules = dict(fx_model.named_modules())
        for node in fx_model.graph.nodes:
            if node.op != "call_module":
                continue
            if type(modules[node.target]) is nn.BatchNorm2d and (
                type(modules.get(node.args[0].target)) is nn.Conv2d
            ):
                if len(node.args[0].users) > 1:
                    continue
                fused = fuse_conv_bn_eval(modules[node.args[0].target], modules[node.target])
                parent, name = parent_name(node.args[0].target)
                setattr(modules[parent], name, fused)
                node.replace_all_uses_with(node.args[0])
                fx_model.graph.erase_node(node)
        fx_model.graph.lint()
        fx_model.recompile()
        return fx_model

    model = wrapped_conv_net(torch)
    fused = fuse(model)
    x = torch.randn(5, 1, 1, 1)
    torch.testing.assert_close(fused(x), model(x))
    assert [n.target for n in fused.graph.nodes if n.op == "call_module"] == [
        "conv1", "conv2", "nested.1"
    ]  # fmt: skip


@both
def test_fusing_by_the_pass_of_torch(torch):
    from importlib import import_module

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own deprecated functions
        optimization = import_module(f"{torch.__name__}.fx.experimental.optimization")
    model = wrapped_conv_net(torch)
    fused = optimization.fuse(model)
    x = torch.randn(5, 1, 1, 1)
    torch.testing.assert_close(fused(x), model(x))
    assert sum(n.op == "call_module" for n in fused.graph.nodes) == 3


@both
def test_a_profiling_interpreter(torch):
    class ProfilingInterpreter(torch.fx.Interpreter):
        def __init__(self, mod):
            super().__init__(torch.fx.symbolic_trace(mod))
            self.total_runtime_sec = []
            self.runtimes_sec = {}

        def run(self, *args):
            start = time.time()
            found = super().run(*args)
            self.total_runtime_sec.append(time.time() - start)
            return found

        def run_node(self, n):
            start = time.time()
            found = super().run_node(n)
            self.runtimes_sec.setdefault(n, []).append(time.time() - start)
            return found

    model = wrapped_conv_net(torch)
    interpreter = ProfilingInterpreter(model)
    x = torch.randn(5, 1, 3, 3)
    torch.testing.assert_close(interpreter.run(x), model(x))
    interpreter.run(x)
    assert len(interpreter.runtimes_sec) == 8
    assert statistics.mean(interpreter.total_runtime_sec) > 0


@both
def test_inverting_a_function(torch):
    inverse = {torch.sin: torch.arcsin, torch.cos: torch.arccos, torch.tan: torch.arctan,
               torch.tanh: torch.arctanh}  # fmt: skip
    inverse.update({v: k for k, v in inverse.items()})

    def invert(model):
        traced = torch.fx.symbolic_trace(model)
        new_graph = torch.fx.Graph()
        env = {}
        for node in reversed(traced.graph.nodes):
            if node.op == "call_function":
                new = new_graph.call_function(inverse[node.target], (env[node.name],))
                env[node.args[0].name] = new
            elif node.op == "output":
                env[node.args[0].name] = new_graph.placeholder(node.name)
            elif node.op == "placeholder":
                new_graph.output(env[node.name])
        new_graph.lint()
        return torch.fx.GraphModule(traced, new_graph)

    f = lambda x: torch.cos(torch.tanh(x))
    x = torch.tensor([0.3, 0.5])
    torch.testing.assert_close(invert(f)(f(x)), x)


@both
def test_swapping_activations(torch):
    nn = torch.nn
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    traced = torch.fx.symbolic_trace(net)
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], nn.ReLU):
            with traced.graph.inserting_after(node):
                new = traced.graph.call_function(nn.functional.gelu, node.args)
            node.replace_all_uses_with(new)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    x = torch.rand(2, 3)
    gelu = nn.functional.gelu
    torch.testing.assert_close(traced(x), gelu(net[2][0](gelu(net[0](x)))))
    assert not any(isinstance(m, nn.ReLU) for m in traced.modules())


@both
def test_decomposition_by_proxies(torch):
    F = torch.nn.functional
    rules = {F.relu: lambda x, inplace=False: (x > 0) * x}

    def decompose(model):
        graph = torch.fx.Tracer().trace(model)
        new_graph = torch.fx.Graph()
        env = {}
        tracer = torch.fx.proxy.GraphAppendingTracer(new_graph)
        for node in graph.nodes:
            if node.op == "call_function" and node.target in rules:
                args = [
                    torch.fx.Proxy(env[a.name], tracer) if isinstance(a, torch.fx.Node) else a
                    for a in node.args
                ]
                env[node.name] = rules[node.target](*args).node
            else:
                env[node.name] = new_graph.node_copy(node, lambda n: env[n.name])
        return torch.fx.GraphModule(model, new_graph)

    class Net(torch.nn.Module):
        def forward(self, x):
            return F.relu(x) + 1

    made = decompose(Net())
    assert made(torch.tensor([-1.0, 2.0])).tolist() == [1, 3]
    assert "relu" not in made.code


@both
def test_shape_propagation_written_by_hand(torch):
    class ShapeProp:
        def __init__(self, mod):
            self.mod, self.graph = mod, mod.graph
            self.modules = dict(mod.named_modules())

        def propagate(self, *args):
            args_iter, env = iter(args), {}

            def load_arg(a):
                return torch.fx.graph.map_arg(a, lambda n: env[n.name])

            for node in self.graph.nodes:
                if node.op == "placeholder":
                    result = next(args_iter)
                elif node.op == "call_function":
                    result = node.target(*load_arg(node.args), **load_arg(node.kwargs))
                elif node.op == "call_method":
                    self_obj, *rest = load_arg(node.args)
                    result = getattr(self_obj, node.target)(*rest, **load_arg(node.kwargs))
                elif node.op == "call_module":
                    result = self.modules[node.target](*load_arg(node.args))
                else:
                    continue
                node.shape = result.shape
                env[node.name] = result

    traced = torch.fx.symbolic_trace(wrapped_conv_net(torch))
    ShapeProp(traced).propagate(torch.rand(5, 1, 3, 3))
    assert all(tuple(n.shape) == (5, 1, 3, 3) for n in traced.graph.nodes if n.op != "output")
