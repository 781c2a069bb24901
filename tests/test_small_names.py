"""Switches, checks, streams, files and helpers that programs take from the ``torch`` namespace."""

import sys

import pytest

import rushlight as torch
from rushlight.utils import _pytree as pytree
from tests import processes


def test_checks_raise_their_own_errors():
    torch._check(True)
    for name, error in {"_check": RuntimeError, "_check_index": IndexError, "_check_value": ValueError,
                        "_check_type": TypeError, "_check_not_implemented": NotImplementedError}.items():  # fmt: skip
        with pytest.raises(error, match="so it is"):
            getattr(torch, name)(False, lambda: "so it is")
        with pytest.raises(error, match="Expected cond to be True"):
            getattr(torch, name)(False)
    with pytest.raises(TypeError, match="cond must be a bool"):
        torch._check(1)
    with pytest.raises(TypeError, match="message must be a callable"):
        torch._check(False, "text")
    with pytest.raises(RuntimeError):
        torch._check_is_size(-1)
    with pytest.raises(RuntimeError):
        torch._check_tensor_all(torch.tensor([True, False]))


def test_deterministic_debug_mode():
    for mode, number in {"warn": 1, "error": 2, "default": 0}.items():
        torch.set_deterministic_debug_mode(mode)
        assert torch.get_deterministic_debug_mode() == number
        assert torch.are_deterministic_algorithms_enabled() == (number > 0)
    for bad in ("loud", 5):
        with pytest.raises(RuntimeError, match="invalid value of debug_mode"):
            torch.set_deterministic_debug_mode(bad)
    with pytest.raises(TypeError, match="must be str or int"):
        torch.set_deterministic_debug_mode(1.0)


def test_names_that_libraries_take_from_inside():
    x = torch.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
    g = torch.tensor([[1.0, -1.0, 2.0]])
    for name in ("softmax", "log_softmax"):
        y = getattr(torch, name)(x, 1)
        y.backward(g)
        found = getattr(torch, f"_{name}_backward_data")(g, y.detach(), 1, torch.float32)
        torch.testing.assert_close(found, x.grad)
        x.grad = None
    start = torch.tensor(0), torch.tensor([1.0])
    n, y = torch.while_loop(lambda n, y: n < 3, lambda n, y: (n + 1, y * 2), start)
    assert (n.item(), y.item()) == (3, 8)
    with pytest.raises(RuntimeError, match="1 values for 2"):
        torch.while_loop(lambda n, y: n < 3, lambda n, y: n, start)
    from rushlight.fx import _pytree as along
    from rushlight.fx.experimental import symbolic_shapes

    assert along.tree_flatten_spec({"a": (1, 2)}, pytree.tree_structure({"a": 0})) == [(1, 2)]
    assert symbolic_shapes.guard_or_true(1 > 2) is False
    assert torch._is_all_true(torch.tensor([True, False])).item() is False
    assert torch._C._get_accelerator().type in ("cpu", "cuda", "xpu", "opencl")
    assert torch.DeviceObjType is type(torch.device("cpu"))
    assert not torch.autograd._profiler_enabled()
    with torch.profiler.profile():
        assert torch.autograd._profiler_enabled()


def test_preferred_libraries_are_remembered():
    cuda = torch.backends.cuda
    for call, name in ((cuda.preferred_linalg_library, "cusolver"),
                       (cuda.preferred_blas_library, "cublaslt")):  # fmt: skip
        before = call()
        assert call(name).name.lower() == name == call().name.lower()
        assert call(before) is before is call("default")
        with pytest.raises(RuntimeError, match=r"Unknown input value\. Choose from: default, "):
            call("x")
        with pytest.raises(RuntimeError, match="Unknown input value type"):
            call(3)
    with pytest.raises(RuntimeError, match="Choose from: default, cusolver, magma"):
        cuda.preferred_linalg_library("hipblas")


def test_sizes_broadcast():
    both = torch._C._infer_size(torch.Size([1, 2]), torch.Size([3, 1]))
    assert type(both) is torch.Size and both == (3, 2)
    with pytest.raises(RuntimeError, match=r"tensor a \(4\) must match the size of tensor b \(3\)"):
        torch._C._infer_size(torch.Size([4, 2]), torch.Size([3, 1]))
    with pytest.raises(RuntimeError, match=r"expected a torch\.Size as argument 1"):
        torch._C._infer_size((1, 2), torch.Size([3, 1]))


def test_removed_functions_name_the_new_ones():
    for name in ("eig", "lstsq", "matrix_rank", "solve", "symeig"):
        with pytest.raises(RuntimeError, match=rf"now removed\. torch\.{name}: use torch\.linalg"):
            getattr(torch, name)(torch.eye(2))
        if name != "matrix_rank":  # no method of PyTorch's tensors
            with pytest.raises(RuntimeError, match=rf"now removed\. torch\.{name}"):
                getattr(torch.eye(2), name)()


def test_inner_names_of_serialization():
    inner = torch.serialization
    assert inner.StorageType("BFloat16Storage").dtype is torch.bfloat16
    assert inner.normalize_storage_type(torch.LongStorage) is torch.LongStorage
    assert (
        inner._maybe_decode_ascii(b"cpu") == "cpu"
        and inner._get_layout("torch.strided") is torch.strided
    )
    with pytest.raises(NotImplementedError, match=r"serialization._load: .*torch.load"):
        inner._load(None, None, None)


class _Branching(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_the_graph_of_a_scripted_module_is_that_of_fx():
    net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU())
    traced = torch.jit.trace(net, torch.ones(1, 2))
    assert [n.op for n in traced.graph.nodes][1:] == ["call_module"] * 2 + ["output"]
    assert [n.op for n in traced.inlined_graph.nodes].count("call_function") == 2
    assert "def forward(self, input)" in traced.code
    branching = torch.jit.script(_Branching())
    assert not hasattr(branching, "graph")
    with pytest.raises(AttributeError, match=r"ScriptModule.code: .*symbolic_trace"):
        getattr(branching, "code")  # noqa: B009


def test_switches():
    torch.set_warn_always(True)
    assert torch.is_warn_always_enabled()
    torch.set_warn_always(False)
    with pytest.raises(RuntimeError, match="expects a bool"):
        torch.set_warn_always(1)
    torch.set_anomaly_enabled(True, check_nan=False)
    assert torch.is_anomaly_enabled()
    assert not torch.is_anomaly_check_nan_enabled()
    torch.set_anomaly_enabled(False)
    assert not torch.is_anomaly_enabled()


def test_streams_and_events_of_the_cpu():
    stream, event = torch.Stream("cpu"), torch.Event(enable_timing=True)
    with stream:
        event.record(stream)
    assert stream == torch.Stream()
    assert event.elapsed_time(stream.record_event(torch.Event(enable_timing=True))) >= 0
    with pytest.raises((RuntimeError, AssertionError)):
        torch.Stream("cuda")


def test_names_of_other_places():
    assert torch.GradScaler is torch.amp.GradScaler
    assert torch.cuda.OutOfMemoryError is torch.OutOfMemoryError
    assert issubclass(torch.OutOfMemoryError, RuntimeError)
    assert torch.utils.dlpack.to_dlpack is torch.to_dlpack
    assert torch.serialization.MAP_LOCATION
    assert "NumPy" in torch.__config__.show()
    assert "get_num_threads" in torch.__config__.parallel_info()


def test_a_file_as_a_tensor(tmp_path):
    path = str(tmp_path / "numbers")
    x = torch.from_file(path, shared=True, size=3, dtype=torch.int32)
    x.copy_(torch.tensor([1, 2, 3]))
    private = torch.from_file(path, size=2, dtype=torch.int32)
    private[0] = 9
    assert torch.from_file(path, shared=False, size=3, dtype=torch.int32).tolist() == [1, 2, 3]
    with pytest.raises(RuntimeError):
        torch.from_file(path, size=9)
    with pytest.raises(RuntimeError):
        torch.from_file(str(tmp_path / "missing"), size=1)


def test_flattened_lists_of_tensors():
    xs = [torch.ones(2, 2), torch.zeros(3)]
    flat = torch._utils._flatten_dense_tensors(xs)
    assert flat.tolist() == [1, 1, 1, 1, 0, 0, 0]
    parts = torch._utils._unflatten_dense_tensors(flat, xs)
    assert [p.shape for p in parts] == [(2, 2), (3,)]
    taken = torch._utils._take_tensors([*xs, torch.ones(1, dtype=torch.int64)], 16)
    assert [[t.numel() for t in part] for part in taken] == [[4], [3], [1]]


def test_registered_containers():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    pytree.register_pytree_node(
        Pair, lambda p: ([p.a, p.b], "kept"), lambda parts, context: Pair(*parts)
    )
    found = pytree.tree_map(lambda x: x * 2, {"k": Pair(1, [2])})
    assert (found["k"].a, found["k"].b) == (2, [4])
    with pytest.raises(ValueError, match="already registered"):
        pytree.register_pytree_node(Pair, None, None)
    del pytree.SUPPORTED_NODES[Pair]


def test_collect_env_prints_versions():
    command = [sys.executable, "-m", "rushlight.utils.collect_env"]
    found = processes.run(command, capture_output=True, text=True, check=True).stdout
    assert "rushlight version:" in found
    assert "numpy==" in found


def test_collect_env_gives_fields():
    from rushlight.utils import collect_env

    found = collect_env.get_env_info()
    assert found.torch_version == torch.__version__ and found.is_debug_build == "False"
    assert collect_env.pretty_str(found) == collect_env.get_pretty_env_info()


def test_dir_lists_no_private_names_of_ours():
    names = dir(torch)
    assert {"add", "nn", "_C", "_check", "__version__", "compile", "fx", "library"} <= {*names}
    assert not {"_LAZY", "_LAZY_NAMES", "_aliases", "_bound", "functools", "importlib"} & {*names}
    assert not {"ours", "locks", "draw", "notices", "docstrings", "remote", "strides"} & {*names}
    assert all(hasattr(torch, n) for n in names)


def test_optimizers_take_parameters_that_are_uninitialised():
    net = torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.Linear(3, 1))
    for make in (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), torch.optim.Adam):
        optimizer = make(net.parameters())
        before = None
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.ones(2, 5)).sum().backward()
            before = net[0].weight.detach().clone()
            optimizer.step()
        assert not torch.equal(net[0].weight, before)


def test_a_device_as_a_context_and_a_decorator():
    from rushlight.utils import _device
    from rushlight.utils._contextlib import context_decorator

    assert _device.CURRENT_DEVICE.type == "cpu"
    with _device.DeviceContext("meta") as context:
        assert torch.ones(1).device == context.device == _device.CURRENT_DEVICE
    assert torch.ones(1).device.type == "cpu"
    assert _device.set_device("meta")(lambda: torch.ones(1))().device.type == "meta"
    with pytest.raises(TypeError, match="context_decorator"):
        context_decorator(5, len)


def test_dynamo_explains_in_pytorchs_words():
    found = torch._dynamo.explain(lambda x: x.sin() + 1)(torch.ones(3))
    assert (found.graph_count, found.graph_break_count, found.op_count) == (1, 0, 2)
    with pytest.warns(UserWarning, match="running eagerly"):
        eager = torch._dynamo.explain(lambda x: x + x.sum().item())(torch.ones(3))
    assert (eager.graph_count, eager.graph_break_count) == (0, 1)
    assert "item" in str(eager) and "Graph Count: 0" in str(eager)
    assert torch._dynamo.explain(torch.nn.Linear(2, 1), torch.ones(1, 2)).op_count >= 1


@pytest.mark.parity
def test_parameters_have_pytorchs_names():
    import importlib
    import inspect

    pytest.importorskip("torch")
    for path in (
        "nn.modules.transformer._get_clones", "nn.modules.transformer._get_activation_fn",
        "distributions.utils._sum_rightmost", "autograd.function.once_differentiable",
        "serialization._is_path", "multiprocessing.ProcessRaisedException",
        "utils._pytree.tree_all", "utils._pytree.tree_any", "utils._pytree.register_dataclass",
        "utils._contextlib.context_decorator", "cond", "_dynamo.explain", "nn.Module._slow_forward",
        "utils.benchmark.Fuzzer", "utils.benchmark.FuzzedTensor", "utils.benchmark.FuzzedParameter",
        "utils.data.graph_settings.apply_sharding", "UntypedStorage.byteswap",
        "utils.data.datapipes.iter.Mapper", "utils.data.datapipes.iter.Grouper",
        "utils.data.datapipes.iter.Batcher", "utils.data.datapipes.iter.FileLister",
        "utils.data.datapipes.iter.Sampler", "utils.data.datapipes.map.Shuffler",
        "utils.data.datapipes.iter.Shuffler", "utils.data.datapipes.iter.Collator",
        "nn.utils._per_sample_grad.call_for_per_sample_grads",
    ):  # fmt: skip
        found = []
        for library in ("rushlight", "torch"):
            thing = importlib.import_module(library)
            home = library
            for name in path.split("."):
                home = f"{home}.{name}"
                if not hasattr(thing, name):
                    importlib.import_module(home)
                thing = getattr(thing, name)
            found.append([*inspect.signature(thing).parameters])
        assert found[0] == found[1], path


def test_a_handle_takes_its_options_by_name():
    from rushlight.utils.hooks import RemovableHandle

    class Hooks(dict):
        """A dict that can be referred to weakly."""

    hooks, options, others = Hooks(), Hooks(), Hooks()
    for given in (options, [options, others]):
        handle = RemovableHandle(hooks, extra_dict=given)
        hooks[handle.id] = options[handle.id] = len
        handle.remove()
        assert not hooks and not options


def test_names_that_libraries_import():
    from rushlight.utils.data.distributed import DistributedSampler

    assert DistributedSampler is torch.utils.data.DistributedSampler
    assert torch.jit._overload_method.__name__ == "_overload_method"
