"""Which function, by which name, the handlers of classes see: PyTorch's."""

import pickle

import pytest

import rushlight as torch

#: A call, and the names of the functions that PyTorch 2.13 hands to ``__torch_function__``.
SEEN = {
    "x + y": ["add"], "2 - x": ["__rsub__"], "2 / x": ["__rdiv__"], "x // y": ["__floordiv__"],
    "2 // x": ["__rfloordiv__"], "x % y": ["remainder"], "2 % x": ["__rmod__"], "x ** 2": ["pow"],
    "2 ** x": ["__rpow__"], "x @ y": ["matmul"], "x == y": ["__eq__"], "x < y": ["lt"], "-x": ["neg"],
    "x[0]": ["__getitem__"], "x.shape": ["__get__"], "x.T": ["__get__"], "x.requires_grad": ["__get__"],
    "x.data_ptr()": ["data_ptr"], "x.is_complex()": ["is_complex"], "x.ravel()": ["ravel"],
    "x.mul_(2)": ["mul_"], "x.__iadd__(y)": ["add_"], "torch.relu_(x)": ["relu_"], "2.0 in x": ["__contains__"],
    "repr(x)": ["__repr__"], "torch.linalg.norm(x)": ["linalg_norm"], "torch.linalg.matmul(x, y)": ["linalg_matmul"],
    "torch.fft.fft(x)": ["fft_fft"], "torch.special.expit(x)": ["special_expit"],
    "torch.special.i0e(x)": ["special_i0e"], "torch.nn.functional.relu(x)": ["relu"],
}  # fmt: skip


def seen(t, call):
    names: list = []

    class Seeing(t.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            names.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})

    x, y = (t.tensor([[2.0, 0.5], [0.5, 3.0]]).as_subclass(Seeing) for _ in range(2))
    names.clear()
    eval(call, {"torch": t, "x": x, "y": y})
    return names


@pytest.mark.parametrize("call", SEEN)
def test_names(call):
    assert seen(torch, call)[:1] == SEEN[call]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", SEEN)
def test_names_of_pytorch(call):
    assert seen(pytest.importorskip("torch"), call)[:1] == SEEN[call]


def test_handlers_find_what_was_called():
    """The usual table of a class's own functions, with methods, operators and properties as keys."""
    own: dict = {}

    class Table(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func in own:
                return own[func](*args, **(kwargs or {}))
            return super().__torch_function__(func, types, args, kwargs or {})

    x = torch.ones(2, 2).as_subclass(Table)
    own |= {
        torch.Tensor.__eq__: lambda a, b: "equal", torch.Tensor.add: lambda a, b: "added",
        torch.Tensor.shape.__get__: lambda a: "shape", torch.Tensor.matmul: lambda a, b: "product",
        torch.Tensor.__rsub__: lambda a, b: "subtracted", torch.linalg.norm: lambda a: "norm",
        torch.special.erf: lambda a: "erf", torch.Tensor.mul_: lambda a, b: "multiplied",
        torch.Tensor.requires_grad.__set__: lambda a, value: None,
    }  # fmt: skip
    assert [x == x, x + x, x.shape, x @ x, 1 - x] == [
        "equal",
        "added",
        "shape",
        "product",
        "subtracted",
    ]
    assert [torch.linalg.norm(x), torch.special.erf(x), x.mul_(2)] == ["norm", "erf", "multiplied"]
    x.requires_grad = True
    assert not x.requires_grad
    assert type(torch.erf(x)) is type(x.T) is type(x.data) is Table


def test_plain_subclasses_are_not_asked():
    class Plain(torch.Tensor):
        pass

    assert Plain.shape is torch.Tensor.shape and Plain.data_ptr is torch.Tensor.data_ptr


@pytest.mark.parametrize("space", ["linalg", "fft", "special"])
def test_functions_are_found_by_pickle(space):
    namespace = getattr(torch, space)
    for name in namespace.__all__:
        function = getattr(namespace, name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert isinstance(function, type) or function.__name__ == f"{space}_{name}"


def test_classes_without_a_handler_wrap_nothing():
    class Plain(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl
        __torch_dispatch__ = torch._C._disabled_torch_dispatch_impl

    x = torch.Tensor._make_subclass(Plain, torch.ones(2))
    assert type(x) is Plain and type(x + 1) is torch.Tensor
    with pytest.raises(TypeError, match="must define __torch_dispatch__"):
        torch.Tensor._make_wrapper_subclass(Plain, (2,))


#: Calls whose arguments PyTorch hands to ``__torch_function__`` as they are given.
GIVEN = ["transpose(x, 0, 1)", "unsqueeze(x, 0)", "permute(x, (1, 0))", "gather(x, 0, i)",
         "index_select(x, 0, i)", "select(x, 0, 1)", "cumsum(x, 0)", "swapaxes(x, 0, 1)",
         "clamp(x, min=0)", "sum(x, dim=0)", "tril(x, diagonal=1)"]  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("call", GIVEN)
def test_arguments_by_place_and_by_name(call):
    def handed(t):
        class Own:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                plain = lambda v: type(v).__name__ if isinstance(v, (Own, t.Tensor)) else v
                return [plain(a) for a in args], {k: plain(v) for k, v in (kwargs or {}).items()}

        return eval(f"t.{call}", {"t": t, "x": Own(), "i": t.zeros(1, dtype=t.int64)})

    assert handed(torch) == handed(pytest.importorskip("torch"))
