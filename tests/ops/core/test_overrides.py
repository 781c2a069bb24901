"""Classes with ``__torch_function__``: a foreign object is asked wherever PyTorch asks it, and by which name."""

import gc
import pickle

import numpy as np
import pytest

import rushlight as torch
from rushlight.autograd import mode
from rushlight.nn import functional as F


class Foreign:
    """Answers every function with its name."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func.__name__


f, x = Foreign(), torch.ones(2, 2)

CALLS = """
torch.add(x, f) | torch.maximum(x, f) | torch.softmax(f, 1) | F.softmax(f, dim=1) | F.relu(f) | F.linear(x, f)
F.cross_entropy(f, x) | F.conv2d(f, x) | F.mse_loss(f, x) | F.layer_norm(f, (2,)) | F.dropout(f) | F.max_pool2d(f, 2)
F.embedding(f, x) | F.scaled_dot_product_attention(f, x, x) | F.one_hot(f) | F.pad(f, (1, 1)) | F.normalize(f)
F.batch_norm(f, x, x) | torch.cat([f, x]) | torch.stack((x, f)) | torch.matmul(f, x) | torch.matmul(x, f)
torch.where(f, x, x) | torch.max(f) | torch.split(f, 1) | torch.topk(f, 1) | torch.reshape(f, (1,)) | torch.unbind(f)
torch.zeros_like(f) | torch.broadcast_tensors(f, x) | torch.var(f) | torch.norm(f) | torch.equal(x, f)
torch.flatten(f) | torch.tensordot(f, x) | torch.mm(x, f) | torch.bmm(f, x) | torch.sort(f) | torch.gather(f, 0, x)
torch.sum(f, dtype=torch.float32) | torch.mean(f, 1, dtype=torch.float64) | torch.add(x, f, alpha=2)
torch.sub(f, x, alpha=2) | torch.div(x, f, rounding_mode="floor") | torch.prod(f, 1)
torch.detach(f) | torch.numel(f) | torch.multinomial(f, 1) | torch.meshgrid(f, x, indexing="ij")
""".replace("\n", " | ").split(" | ")
CALLS = [call for call in CALLS if call]


@pytest.mark.parametrize("call", CALLS)
def test_a_foreign_object_is_asked(call):
    for _ in range(2):  # the second time its types were seen before
        assert eval(call) == call.split("(")[0].split(".")[1]


class Declining:
    """Takes no call."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


class DecliningTensor(Declining, torch.Tensor):
    pass


class Kind(torch.Tensor):
    pass


class OtherKind(torch.Tensor):
    pass


def tensors(*kinds):
    return [torch.ones(2, 2).as_subclass(kind) for kind in kinds]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("make", [Declining, lambda: tensors(DecliningTensor)[0]])
def test_a_call_that_all_classes_decline_is_an_error(call, make):
    with pytest.raises(TypeError, match="no implementation found for 'torch"):
        eval(call, {"f": make(), "x": x, "F": F, "torch": torch})


class DecliningMode(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return NotImplemented


@pytest.mark.parametrize("call", ["torch.add(x, 1)", "x.sum()", "torch.zeros(2)", "F.relu(x)"])
def test_a_call_that_a_mode_declines_is_an_error(call):
    with DecliningMode():
        with pytest.raises(TypeError, match=r"nor in mode .*DecliningMode"):
            eval(call)
        with pytest.raises(TypeError, match="unsupported operand"):
            x + 1


class Right:
    """Answers as the right operand."""

    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = (
        lambda self, other: "right"
    )
    __rmatmul__ = __rand__ = __ror__ = __rxor__ = __rlshift__ = __rrshift__ = __radd__
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __radd__


OPERATORS = """
+ - * / // % ** @ & | ^ << >> == != < <= > >=
"""


@pytest.mark.parametrize("operator", OPERATORS.split())
def test_operators_that_a_class_declines_ask_the_other_operand(operator):
    (a,), (b, c) = tensors(DecliningTensor), tensors(Kind, OtherKind)
    assert eval(f"a {operator} r", {"a": a, "r": Right()}) == "right"
    pairs = [(b, c), (a, a), (a, x), (x, a)]
    if operator not in ("==", "!="):  # Python compares identities then
        pairs += [(a, 2), (2, a)]
        for left, right in pairs:
            with pytest.raises(TypeError, match=r"unsupported operand|not supported"):
                eval(f"left {operator} right", {"left": left, "right": right})


def test_siblings_do_not_mix():
    b, c = tensors(Kind, OtherKind)
    assert type(torch.add(b, torch.nn.Parameter(x))) is Kind
    for call in (lambda: torch.add(b, c), lambda: torch.cat([b, c]), lambda: b.add_(c)):
        with pytest.raises(
            TypeError, match=r"no implementation found.*Multiple dispatch failed for"
        ):
            call()


def test_operators_indexing_and_writes_ask_too():
    assert x + f == "add"
    assert (x @ f, x[f], x.copy_(f), x.topk(f)) == ("matmul", "__getitem__", "copy_", "topk")
    x[0] = f  # nothing is written
    assert x.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parity
def test_as_pytorch():
    peer = pytest.importorskip("torch")
    for call in CALLS:
        names = {"torch": peer, "F": peer.nn.functional, "x": peer.ones(2, 2), "f": f}
        assert eval(call, names) == eval(call), call


def test_the_function_handed_over_is_the_public_one():
    handled = {}

    class Array:
        def __init__(self, array):
            self.array_ = array

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func not in handled:
                return NotImplemented
            return handled[func](*args, **(kwargs or {}))

    handled[F.softmax] = lambda a, dim, **_: Array(a.array_ * dim)
    handled[torch.cat] = lambda parts, dim=0: Array(np.concatenate([p.array_ for p in parts], dim))
    a = Array(np.ones(2))
    assert F.softmax(a, dim=3).array_.tolist() == [3, 3]
    assert torch.cat([a, a]).array_.tolist() == [1] * 4
    with pytest.raises(TypeError, match=r"found for 'torch\.nn\.functional\.relu'"):
        F.relu(a)


def test_a_subclass_is_asked_by_the_name_of_the_whole_function():
    asked = []

    class Named(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            asked.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs)

    sees = {"torch": torch, "F": F, "named": torch.ones(2, 2).as_subclass(Named)}
    for call, name in {
        "named[0]": "__getitem__", "len(named)": "__len__", "named.detach()": "detach",
        "named.reshape(4)": "reshape", "named.matmul(named)": "matmul",
        "F.softmax(named, dim=1)": "softmax", "named.size()": "size", "torch.cat([named])": "cat",
        "named.__setitem__(0, 2.0)": "__setitem__", "named.split(1)": "split",
        "named.true_divide(2.0)": "true_divide", "named.zero_()": "zero_", "named.numel()": "numel",
    }.items():  # fmt: skip
        for _ in range(2):
            asked.clear()
            found = eval(call, sees)
            assert asked[:1] == [name], call
        assert name in ("__len__", "size", "__setitem__", "split", "numel") or type(found) is Named


def test_an_own_method_of_a_subclass_stays():
    class First(torch.Tensor):
        def __getitem__(self, index):
            return "own"

    class Second(First):
        pass

    assert torch.ones(2).as_subclass(Second)[0] == "own"


@pytest.mark.parametrize("function", [torch.softmax, torch.topk, F.relu, F.cross_entropy])
def test_functions_under_guard_can_be_pickled(function):
    assert pickle.loads(pickle.dumps(function)) is function


def test_tables_of_handled_functions_work():
    handled = {torch.add: "add", torch.flip: "flip", F.relu: "relu", torch.cat: "cat",
               torch.sub: "sub", torch.reshape: "reshape", torch.permute: "permute"}  # fmt: skip

    class Named(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return handled.get(func)

    a = torch.ones(2, 2).as_subclass(Named)
    assert torch.add(a, a) == a + 1 == a.add(a, alpha=2) == "add" and a - 1 == "sub"
    assert torch.flip(a, (0,)) == "flip" and F.relu(a) == "relu" and torch.cat([a, a]) == "cat"
    assert torch.reshape(a, (4,)) == "reshape" and torch.permute(a, (1, 0)) == "permute"
    with torch._C.DisableTorchFunctionSubclass():
        assert type(a + 1) is torch.Tensor


class Noted(torch.overrides.TorchFunctionMode):
    def __init__(self, notes):
        self.notes = notes

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.notes.append(torch.overrides.resolve_name(func))
        return func(*args, **(kwargs or {}))


def test_a_mode_is_handed_all_functions():
    outer, inner = [], []
    with Noted(outer):
        y = torch.zeros(2) + 1
        with Noted(inner):
            F.softmax(y, 0)
        torch.linalg.norm(y)
    softmax = "torch.nn.functional.softmax"  # the inner mode calls it, so the outer one sees it
    assert outer == ["torch.zeros", "torch.add", softmax, "torch.linalg.norm"]
    assert inner == [softmax] and torch.overrides._get_current_function_mode() is None
    with pytest.raises(ZeroDivisionError), Noted(outer):
        1 / 0  # noqa: B018
    assert not torch.overrides.has_torch_function((y,))


def test_a_mode_changes_what_is_made_while_a_function_is_compiled():
    class Twice(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            return found * 2 if func is torch.sin else found

    with Twice():
        x = torch.ones(3)
        assert torch.equal(torch.compile(torch.sin)(x), x.sin())


def test_as_subclass_asks_no_class():
    class Asks(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    seen = []
    x = torch.ones(2).as_subclass(Asks)
    assert type(x.as_subclass(torch.Tensor)) is torch.Tensor and not seen
    x.unbind()
    torch.unbind(x)
    assert seen == [torch.Tensor.unbind, torch.unbind] and seen[0] is not seen[1]


def test_a_method_that_a_library_puts_on_tensor_asks_no_class(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "plain", lambda x: x.as_subclass(torch.Tensor), raising=False)

    class Asks(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {})

    assert type(torch.ones(2).as_subclass(Asks).plain()) is torch.Tensor


def test_a_subclass_may_have_an_attribute_array():
    class Holder(torch.Tensor):
        @property
        def array(self):
            return self.detach().numpy()

    x = torch.ones(2).as_subclass(Holder)
    assert (x + 1).array.tolist() == [2, 2] and not hasattr(torch.ones(1), "array")


def test_disable_torch_function():
    from rushlight._C import DisableTorchFunction

    class Named(torch.Tensor):
        pass

    with DisableTorchFunction():
        assert type(torch.ones(2).as_subclass(Named) + 1) is torch.Tensor
    assert type(torch.ones(2).as_subclass(Named) + 1) is Named


def test_a_handler_gets_the_parameters_that_are_not_the_defaults():
    class Q:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__, kwargs

    q = Q()
    assert torch.mean(q) == ("mean", {}) and torch.sum(q, dim=1) == ("sum", {"dim": 1})
    assert (F.gelu(q), torch.clone(q), torch.tril(q)) == (("gelu", {}), ("clone", {}), ("tril", {}))


def test_results_with_names_are_of_the_subclass():
    class Named(torch.Tensor):
        pass

    found = torch.arange(3.0).as_subclass(Named).max(0)
    assert type(found).__name__ == "max" and type(found.values) is type(found.indices) is Named


def with_class(cls):
    x = torch.ones(2)
    x.__class__ = cls
    return x


@pytest.mark.parametrize(
    "make",
    [
        lambda cls: torch.ones(2).as_subclass(cls),
        lambda cls: cls([1.0, 1.0]),
        lambda cls: torch.Tensor._make_subclass(cls, torch.ones(2)),
        with_class,
    ],
    ids=["as_subclass", "call", "make_subclass", "__class__"],
)
def test_the_first_instance_of_a_class_leaves_the_fast_path(make):
    """A class that is only defined, as many libraries do, costs other operations no time."""
    gc.collect()  # the classes of other tests
    before, seen = mode.intercept, []

    class Asked(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            seen.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    assert mode.intercept == before
    x = make(Asked)
    assert mode.intercept == before + 1
    torch.add(torch.ones(2), x)
    torch.ones(2) @ make(Asked)
    assert torch.add in seen
    assert mode.intercept == before + 1
    del x, Asked
    gc.collect()
    assert mode.intercept == before
