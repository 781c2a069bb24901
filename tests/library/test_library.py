"""torch.library: schemas, custom operators, their gradients, batches, fakes and checks."""

# ruff: noqa: UP006, UP007, UP035, UP045
import copy
import importlib
import pickle
import threading
import types
import warnings
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np
import pytest

import rushlight

Frameworks = [rushlight]
try:
    import torch as pytorch

    Frameworks.append(pytorch)
except ImportError:
    pytorch = None

counter = iter(range(1000))


@pytest.fixture(params=Frameworks, ids=lambda t: t.__name__)
def torch(request):
    return request.param


@pytest.fixture
def space():
    return f"test_library_{next(counter)}"


def cube_of(torch, space, **options):
    """An operator that computes with NumPy."""

    def cube(x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return torch.from_numpy(np.asarray(x.detach().numpy() ** 3 * np.float32(scale)))

    op = torch.library.custom_op(f"{space}::cube", cube, mutates_args=(), **options)

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g * ctx.scale, None

    op.register_autograd(backward, setup_context=setup_context)
    op.register_fake(lambda x, scale=1.0: torch.empty_like(x))
    return op


# Schemas ----------------------------------------------------------------------------------


def signatures(torch):
    T = torch.Tensor

    def plain(x: T, y: float, z: Optional[T] = None, *, k: int = 3) -> T: ...
    def lists(xs: List[T], n: Sequence[int], f: list[float], o: List[Optional[T]]) -> List[T]: ...
    def rest(d: torch.dtype = torch.float32, s: str = "a, (b", b: bool = True) -> Tuple[T, T]: ...
    def numbers(n: Union[int, float, bool] = 3, m: "int | None" = None) -> None: ...
    def strings(x: "T", y: "Optional[Sequence[int]]" = None) -> "T": ...

    strings.__globals__.update(T=T)
    return plain, lists, rest, numbers, strings


def test_inferred_schemas_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    for i in range(5):
        for mutates in ((), "unknown"):
            ours, theirs = [
                t.library.infer_schema(signatures(t)[i], mutates_args=mutates)
                for t in (rushlight, torch)
            ]
            assert ours == theirs


def test_type_hints_that_no_schema_has(torch):
    T = torch.Tensor

    def untyped(x) -> T: ...
    def odd(x: set) -> T: ...
    def no_result(x: T): ...
    def odd_result(x: T) -> set: ...
    def several(*x: T) -> T: ...
    def pair(x: Tuple[int, int]) -> T: ...
    def fine(x: T, n: int) -> T: ...

    for function, mutates, words in [
        (untyped, (), "Parameter x must have a type annotation"),
        (odd, (), "Parameter x has unsupported type"),
        (no_result, (), "No return type annotation was provided"),
        (odd_result, (), "Return has unsupported type"),
        (several, (), "positional-only args, varargs"),
        (pair, (), "We do not support Tuple inputs in schema"),
        (fine, {"y"}, "in mutates_args were not found"),
        (fine, {"n"}, "only Tensors or collections of Tensors can be mutated"),
    ]:
        with pytest.raises(ValueError, match=words):
            torch.library.infer_schema(function, mutates_args=mutates)


@pytest.mark.parametrize(
    "text",
    [
        "f(Tensor x, int[] k=[1, 2], *, ScalarType? dtype=None) -> Tensor",
        'f.over(Tensor(a!) x, str s="a,b", Scalar alpha=1) -> (Tensor(a!), Tensor)',
        "f() -> ()",
        "f(Tensor?[] xs, int[2] k) -> Tensor[]",
    ],
)
def test_schemas_are_printed_as_they_are_read(text):
    from rushlight.library.schema import parse_schema

    assert str(parse_schema(text)) == text


def test_arguments_are_checked_against_the_schema(torch, space):
    op = cube_of(torch, space)
    x = torch.ones(2)
    for args, kwargs, words in [
        (
            (1,),
            {},
            "Expected a value of type 'Tensor' for argument 'x' but instead found type 'int'",
        ),
        ((), {}, "is missing value for argument 'x'"),
        ((x, 1.0, 2), {}, r"expected at most 2 argument\(s\) but received 3"),
        ((x,), {"q": 1}, "Unknown keyword argument 'q' for operator"),
        ((x, "a"), {}, "Expected a value of type 'float' for argument 'scale'"),
    ]:
        with pytest.raises(RuntimeError, match=words):
            op(*args, **kwargs)
    assert op(x, scale=2).tolist() == op(x, torch.tensor(2.0)).tolist() == [2, 2]


# Operators --------------------------------------------------------------------------------


def test_names_of_an_operator(torch, space):
    op = cube_of(torch, space)
    packet = getattr(torch.ops, space).cube
    assert repr(op) == f"<CustomOpDef({space}::cube)>"
    assert (str(packet), str(packet.default)) == (f"{space}.cube", f"{space}.cube.default")
    assert packet.default.name() == f"{space}::cube" and packet.overloads() == ["default"]
    assert str(packet.default._schema) == f"{space}::cube(Tensor x, float scale=1.) -> Tensor"
    argument = packet.default._schema.arguments[1]
    assert (argument.name, argument.default_value, argument.kwarg_only) == ("scale", 1.0, False)
    for missing in (lambda: packet.other, lambda: getattr(torch.ops, space).no):
        with pytest.raises(AttributeError):
            missing()


def test_gradients_are_those_of_the_rule(torch, space):
    op = cube_of(torch, space)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = op(x, 2.0)
    assert type(y.grad_fn).__name__.startswith("GeneratedBackwardFor_")
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [6, 24]
    assert torch.autograd.grad(g.sum(), x)[0].tolist() == [12, 24]  # the rule is differentiated


def test_without_a_rule_there_is_no_gradient(torch, space):
    def f(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    op = torch.library.custom_op(f"{space}::f", f, mutates_args=())
    y = op(torch.ones(2, requires_grad=True))
    assert y.requires_grad
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        y.sum().backward()


def test_lists_of_tensors_and_keyword_only_arguments(torch, space):
    T = torch.Tensor

    def weigh(xs: List[T], w: float, *, bias: float = 0.0) -> List[T]:
        return [x * w + bias for x in xs]

    op = torch.library.custom_op(f"{space}::weigh", weigh, mutates_args=())

    def setup_context(ctx, inputs, keyword_only_inputs, output):
        ctx.w, ctx.seen = inputs[1], (len(inputs[0]), keyword_only_inputs["bias"], len(output))

    def backward(ctx, grads):
        assert ctx.seen == (2, 1.0, 2) and ctx.needs_input_grad[0] == [True, False]
        return [g * ctx.w for g in grads], None

    op.register_autograd(backward, setup_context=setup_context)
    x, z = torch.ones(2, requires_grad=True), torch.ones(3)
    found = op([x, z], 3.0, bias=1.0)
    assert isinstance(found, list) and found[1].tolist() == [4, 4, 4]
    found[0].sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_several_results(torch, space):
    T = torch.Tensor

    def parts(x: T) -> Tuple[T, T]:
        return x * 2, x.long()

    op = torch.library.custom_op(f"{space}::parts", parts, mutates_args=())
    op.register_autograd(lambda ctx, g, h: g * 2)
    x = torch.ones(2, requires_grad=True)
    a, b = op(x)
    assert not b.requires_grad
    a.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_writes_are_counted(torch, space):
    def fill(x: torch.Tensor, v: float) -> None:
        x.numpy()[...] = v

    op = torch.library.custom_op(f"{space}::fill", fill, mutates_args={"x"})
    x = torch.ones(2)
    w = torch.ones(2, requires_grad=True)
    y = x * w  # saves x
    assert op(x, 3.0) is None
    assert x.tolist() == [3, 3] and x._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="non-functional operator"):
        op.register_autograd(lambda ctx, g: g)


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[:1], lambda x: x.reshape(-1, 1)])
def test_results_must_not_share_memory(torch, space, view):
    def f(x: torch.Tensor) -> torch.Tensor:
        return view(x)

    op = torch.library.custom_op(f"{space}::f", f, mutates_args=())
    with pytest.raises(RuntimeError, match="may not alias any inputs"):
        op(torch.ones(2))


def test_kernels_of_devices(torch, space):
    op = cube_of(torch, space)
    op.register_kernel("cpu")(lambda x, scale=1.0: x + 100)
    assert op(torch.ones(1)).tolist() == [101]
    with op.set_kernel_enabled("cpu", enabled=False):
        assert op(torch.ones(1)).tolist() == [1]
    assert op(torch.ones(1)).tolist() == [101]

    def none() -> torch.Tensor: ...

    with pytest.raises(ValueError, match="are required to have a `device"):
        torch.library.custom_op(f"{space}::none", none, mutates_args=(), device_types="cpu")


def test_a_schema_must_agree_with_mutates_args(torch, space):
    with pytest.raises(ValueError, match="Please make these consistent"):
        torch.library.custom_op(
            f"{space}::f", lambda x: x, mutates_args=(), schema="(Tensor(a!) x) -> ()"
        )


def test_definitions_by_schema(torch, space):
    torch.library.define(
        f"{space}::f", "(Tensor x, int[] k=[1,2], *, ScalarType? d=None) -> Tensor"
    )
    f = getattr(torch.ops, space).f
    with pytest.raises(NotImplementedError, match="Could not run"):
        f(torch.ones(1))

    @torch.library.impl(f"{space}::f", "cpu")
    def kernel(x, k=(1, 2), *, d=None):
        return x * k[1]

    x = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, that the operator has no rule
        f(x, [1, 5]).sum().backward()  # through the kernel's own operations
    assert x.grad.tolist() == [5, 5]
    torch.library.register_autograd(f"{space}::f", lambda ctx, g: (g * 100, None))
    x.grad = None
    f(x).sum().backward()
    assert x.grad.tolist() == [100, 100]
    for call, error in [
        (lambda: torch.library.define(f"{space}::f", "(Tensor x) -> Tensor"), RuntimeError),
        (lambda: torch.library.define("f", "(Tensor x) -> Tensor"), ValueError),
        (lambda: torch.library.define(f"{space}::g", "(Tensr x) -> Tensor"), RuntimeError),
    ]:
        with pytest.raises(error):
            call()


def test_libraries_and_overloads(torch, space):
    library = torch.library.Library(space, "DEF")
    assert library.define("f(Tensor x) -> Tensor") == "f"
    library.define("f.times(Tensor x, int n) -> Tensor")
    library.impl("f", lambda x: x * 3)
    library.impl("f.times", lambda x, n: x * n, "CPU")
    f = getattr(torch.ops, space).f
    assert f.overloads() == ["default", "times"]
    assert f(torch.ones(1)).tolist() == [3] and f(torch.ones(1), 7).tolist() == [7]
    assert f.times(torch.ones(1), n=8).tolist() == [8]
    with pytest.raises(RuntimeError, match="failed to match any schema"):
        f("a")
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY"):
        torch.library.Library(space, "DEF")
    fragment = torch.library.Library(space, "FRAGMENT")

    @torch.library.impl(fragment, fragment.define("g(Tensor x) -> Tensor"), "CPU")
    def g(x):
        return -x

    assert getattr(torch.ops, space).g(torch.ones(1)).tolist() == [-1]


def test_batches(torch, space):
    op = cube_of(torch, space)
    x = torch.arange(6.0).reshape(3, 2)
    calls = []

    @op.register_vmap
    def _(info, in_dims, x, scale=1.0):
        calls.append((info.batch_size, in_dims[0]))
        return op(x, scale), in_dims[0]

    vmap = torch.vmap
    assert vmap(op)(x).tolist() == (x**3).tolist()
    assert vmap(op, in_dims=1, out_dims=1)(x).tolist() == (x**3).tolist()
    assert [n for n, _ in calls] == [3, 2]


def test_classes_with_torch_function_take_over(torch, space):
    op = cube_of(torch, space)

    class Shy:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return str(func)

    assert op(Shy()) == f"{space}.cube.default"


def test_operators_are_copied_and_pickled_by_name(space):
    op = cube_of(rushlight, space)._opoverload
    assert copy.deepcopy(op) is op and pickle.loads(pickle.dumps(op)) is op
    packet = op.overloadpacket
    assert pickle.loads(pickle.dumps(packet)) is packet


# Compiled, batched and checked ------------------------------------------------------------


def test_compiled_without_looking_at_values(space):
    torch = rushlight

    def f(x: torch.Tensor) -> torch.Tensor:
        return x.sin() * 2

    op = torch.library.custom_op(f"{space}::f", f, mutates_args=())
    op.register_autograd(
        lambda ctx, g: g * 2 * ctx.saved_tensors[0].cos(),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    )
    step = torch.compile(lambda x: torch.autograd.grad(op(x * 2).sum(), x)[0], fullgraph=True)
    x = torch.linspace(-1, 1, 5).requires_grad_()
    for _ in range(2):
        torch.testing.assert_close(step(x), 4 * (2 * x.detach()).cos())


def test_compiled_with_numpy_inside_runs_eagerly(space):
    torch = rushlight
    op = cube_of(torch, space)
    f = torch.compile(lambda x: op(x + 1) * 2)
    with pytest.warns(UserWarning, match="running eagerly"):
        assert f(torch.ones(2)).tolist() == [16, 16]
    assert f(torch.full((2,), 2.0)).tolist() == [54, 54]


def test_numpy_inside_a_batch_needs_the_fake(space):
    torch = rushlight
    op = cube_of(torch, space)
    x = torch.arange(6.0).reshape(3, 2).requires_grad_()
    found = torch.vmap(op)(x)
    assert found.tolist() == (x**3).tolist()
    per_sample = torch.vmap(torch.func.grad(lambda s: op(s, 2.0).sum()))
    assert per_sample(x.detach()).tolist() == (6 * x**2).tolist()


def test_opcheck(torch, space):
    op = cube_of(torch, space)
    samples = torch.rand(3), torch.rand(3, requires_grad=True)
    for x in samples:
        found = torch.library.opcheck(op, (x,))
        assert set(found.values()) == {"SUCCESS"} and len(found) == 4
    op.register_fake(lambda x, scale=1.0: x.new_empty(4))
    with pytest.raises(Exception, match="are not equal"):
        torch.library.opcheck(op, (samples[0],))

    def sly(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x.clone()

    written = torch.library.custom_op(f"{space}::sly", sly, mutates_args=())
    with pytest.raises(Exception, match="not defined as mutable but was mutated"):
        torch.library.opcheck(written, (samples[0],), test_utils="test_schema")
    found = torch.library.opcheck(
        written, (samples[0],), test_utils="test_schema", raise_exception=False
    )
    assert isinstance(found["test_schema"], Exception)


def test_autocast_casts_the_operands(torch, space):
    def f(x: torch.Tensor) -> torch.Tensor:
        return x + 0

    op = torch.library.custom_op(f"{space}::f", f, mutates_args=())
    op.register_autocast("cpu", torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert op(torch.ones(1)).dtype == torch.bfloat16
    assert op(torch.ones(1)).dtype == torch.float32


def test_an_autograd_kernel_runs_in_the_place_of_the_operator(space):
    torch = rushlight
    library = torch.library.Library(space, "DEF")
    library.define("f(Tensor x) -> Tensor")
    library.impl("f", lambda x: x * 2, "CPU")

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return getattr(torch.ops, space).f(x)

        @staticmethod
        def backward(ctx, g):
            return g * 7

    library.impl("f", F.apply, "Autograd")
    x = torch.ones(1, requires_grad=True)
    y = getattr(torch.ops, space).f(x)
    y.backward()
    assert (y.item(), x.grad.item()) == (2, 7)


def test_a_namespace_may_have_the_name_of_a_folder_of_operations():
    def f(x: rushlight.Tensor) -> rushlight.Tensor:
        return x + 1

    rushlight.library.custom_op("norm::f", f, mutates_args=())
    assert rushlight.ops.norm.f(rushlight.zeros(1)).item() == 1


def test_the_package_of_operations_has_no_namespaces():
    package = importlib.import_module("rushlight.ops")
    assert package is not rushlight.ops
    assert package.core is importlib.import_module("rushlight.ops.core")
    for name in ("aten", "pytest_plugins", "setup_module", "__wrapped__"):  # pytest asks for some
        assert not hasattr(package, name), name
    assert not hasattr(rushlight.ops, "__path__")


def test_aten_names_are_operations(torch):
    x = torch.tensor([-1.0, 2.0])
    aten = torch.ops.aten
    assert aten.relu(x).tolist() == aten.relu.default(x).tolist() == [0, 2]
    assert aten.add.Tensor(x, x).tolist() == [-2, 4]
    assert str(aten.add.Tensor).startswith("aten.add.")
    assert aten.add.Tensor.overloadpacket is aten.add
    with pytest.raises(AttributeError):
        _ = aten.no_such_operation


def test_numpy_of_a_tensor_that_requires_grad_under_no_grad(torch):
    x = torch.ones(1, requires_grad=True)
    with torch.no_grad():
        assert x.numpy().tolist() == [1]
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\) instead"):
        x.numpy()


def test_calls_in_several_threads(space):
    op = cube_of(rushlight, space)
    found = types.SimpleNamespace(failed=[])

    def work():
        with warnings.catch_warnings():
            for _ in range(50):
                x = rushlight.full((2,), 2.0, requires_grad=True)
                op(x).sum().backward()
                if x.grad.tolist() != [12, 12]:
                    found.failed.append(x.grad)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not found.failed
