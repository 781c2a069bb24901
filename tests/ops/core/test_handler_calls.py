"""What handlers see of a call: PyTorch's function, classes and arguments, as the caller wrote them."""

import copy
import operator

import numpy as np
import pytest

import rushlight as torch
from tests.ops.core.handler_calls import OF_CLASSES, OF_MODES, parted

F = torch.nn.functional

#: A call → the function that handlers see, and its arguments; x is the operand ``None``.
SEEN = {
    "x.sum(0)": (torch.Tensor.sum, (None, 0), {}),
    "x.sum(dim=0)": (torch.Tensor.sum, (None,), {"dim": 0}),
    "x.mean(-1, keepdim=True)": (torch.Tensor.mean, (None, -1), {"keepdim": True}),
    "x % 2": (torch.Tensor.remainder, (None, 2), {}),
    "2 % x": (torch.Tensor.__rmod__, (None, 2), {}),
    "x ** 2": (torch.Tensor.__pow__, (None, 2), {}),
    "-x": (torch.Tensor.__neg__, (None,), {}),
    "x.permute(1, 0)": (torch.Tensor.permute, (None, 1, 0), {}),
    "x.permute((1, 0))": (torch.Tensor.permute, (None, (1, 0)), {}),
    "torch.permute(x, dims=(1, 0))": (torch.permute, (None,), {"dims": (1, 0)}),
    "x.expand(5, 2, 2)": (torch.Tensor.expand, (None, 5, 2, 2), {}),
    "x.repeat(2, 1)": (torch.Tensor.repeat, (None, 2, 1), {}),
    "x.view(4)": (torch.Tensor.view, (None, 4), {}),
    "x.squeeze(0, 1)": (torch.Tensor.squeeze, (None, 0, 1), {}),
    "x.add(1, alpha=2)": (torch.Tensor.add, (None, 1), {"alpha": 2}),
    "x.add(other=1)": (torch.Tensor.add, (None,), {"other": 1}),
    "x.split(1)": (torch.Tensor.split, (None, 1), {"dim": 0}),
    "x.bool()": (torch.Tensor.bool, (None,), {}),
    "x.t_()": (torch.Tensor.t_, (None,), {}),
    "operator.iadd(x, 1)": (torch.Tensor.add_, (None, 1), {}),
    "x[0, 1:]": (torch.Tensor.__getitem__, (None, (0, slice(1, None))), {}),
    "F.relu(x)": (F.relu, (None,), {"inplace": False}),
    "F.relu(x, True)": (F.relu, (None,), {"inplace": True}),
    "F.linear(x, x)": (F.linear, (None, None), {}),
    "F.softmax(x, 1)": (F.softmax, (None,), {"dim": 1, "_stacklevel": 3, "dtype": None}),
    "F.dropout(x, 0.5)": (F.dropout, (None,), {"p": 0.5, "training": True, "inplace": False}),
    "F.pad(x, (1, 1))": (F.pad, (None, (1, 1)), {"mode": "constant", "value": None}),
    "F.sigmoid(x)": (torch.Tensor.sigmoid, (None,), {}),
    "torch.linalg.norm(x, dim=1)": (torch.linalg.norm, (None,), {"dim": 1}),
}  # fmt: skip


@pytest.mark.parametrize("call", SEEN)
def test_the_arguments_are_those_of_the_caller(call):
    seen = []

    class Seeing(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append((func, tuple([None if a is x else a for a in args]), kwargs or {}, types))
            return super().__torch_function__(func, types, args, kwargs)

    x = torch.ones(2, 2).as_subclass(Seeing)
    eval(call, {"x": x, "torch": torch, "F": F, "operator": operator})
    assert seen == [(*SEEN[call], (Seeing,))]


def test_out_is_handed_over_and_written_once():
    x, out = torch.ones(2).as_subclass(Kind), torch.zeros(2)
    found = torch.add(x, 1, out=out)
    assert type(found) is Kind and type(out) is torch.Tensor and out.tolist() == [2, 2]


class Kind(torch.Tensor):
    pass


class Calls(torch.overrides.TorchFunctionMode):
    def __init__(self):
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls.append((func, args, kwargs))
        return func(*args, **(kwargs or {}))


def test_a_mode_sees_public_functions():
    x = torch.ones(2, 3)
    with Calls() as seen:
        x[0].view(3).copy_(x[1]).zero_()
        torch.tensor([1.0])
        torch.as_tensor(2.0)
        x.add(x, alpha=2)
        x.reshape(3, 2)
        torch._foreach_add([x], 1)
    names = ["__getitem__", "view", "__getitem__", "copy_", "zero_", "tensor", "as_tensor", "add",
             "reshape", "_foreach_add"]  # fmt: skip
    assert [func.__name__ for func, _, _ in seen.calls] == names
    assert seen.calls[-2][0] is torch.Tensor.reshape and seen.calls[-2][1][1:] == (3, 2)


def test_plain_tensors_stay_plain():
    """The result of the default handler has the class; the tensors that it was given do not."""
    plain, kind = torch.ones(2), torch.ones(2).as_subclass(Kind)
    assert type(plain.add_(kind)) is Kind and type(plain) is torch.Tensor
    assert type(plain.copy_(kind)) is Kind and type(plain) is torch.Tensor
    view = plain.as_subclass(Kind)[1:]
    assert type(view) is Kind


def test_data_and_gradients_of_a_subclass():
    x = torch.ones(2).as_subclass(Kind).requires_grad_()
    assert type(x.data) is type(x.detach()) is Kind
    # So do calls by super() in a method of the class.
    assert type(torch.Tensor.data.__get__(x)) is type(torch.Tensor.detach(x)) is Kind
    (x * 2).sum().backward()
    assert type(x.grad) is type(x.grad) is torch.Tensor
    assert type(torch.autograd.grad((x * 2).sum(), x)[0]) is Kind
    with torch._C.DisableTorchFunctionSubclass():
        assert type(x.data) is type(x.detach()) is torch.Tensor
        assert not torch.overrides.has_torch_function((x,))


def test_names_of_getters():
    shape = torch.Tensor.shape
    assert torch.overrides.resolve_name(shape.__get__) == "torch.Tensor.shape.__get__"
    assert torch.overrides.get_overridable_functions()[shape] == [shape.__get__]
    assert shape.__get__ in torch.overrides.get_testing_overrides()


# Compared with PyTorch --------------------------------------------------------------------


def shown(t, v):
    """A value as text, the same for both libraries."""
    if isinstance(v, t.Tensor):
        with t._C.DisableTorchFunction():
            return f"{type(v).__name__}{tuple(v.shape)}:{v.dtype}"
    if isinstance(v, (tuple, list)):
        return type(v).__name__ + str([shown(t, a) for a in v])
    if isinstance(v, dict):
        return str({k: shown(t, a) for k, a in sorted(v.items())})
    if callable(v) or isinstance(v, t.Generator):
        return "object"
    return repr(v)


def names(t):
    """Function → the names under which it is found."""
    found: dict = {}
    spaces = {"torch": t, "F": t.nn.functional, "linalg": t.linalg, "fft": t.fft,
              "special": t.special}  # fmt: skip
    for path, space in spaces.items():
        for name in dir(space):
            call = getattr(space, name, None)
            if callable(call) and not isinstance(call, type) and name != "_threshold":
                found.setdefault(call, set()).add(f"{path}.{name}")
    for name in dir(t.Tensor):
        member = getattr(t.Tensor, name)
        if callable(member) and not isinstance(member, type):
            found.setdefault(member, set()).add(f"Tensor.{name}")
        elif hasattr(member, "__set__"):
            for part in ("__get__", "__set__", "__delete__"):
                found.setdefault(getattr(member, part), set()).add(f"Tensor.{name}.{part}")
    return found


def operands(t, wrap):
    draw = np.random.RandomState(0)

    def make(*shape):
        return t.tensor(draw.rand(*shape).astype("f4") + 0.1)

    square = draw.rand(3, 3).astype("f4")
    made = {
        "x": make(3, 4), "y": make(3, 4), "v": make(4), "sq4": make(4, 4), "b3": make(3, 3, 3),
        "sq": t.tensor(square @ square.T + 3 * np.eye(3, dtype="f4")), "b344": make(2, 4, 4),
        "b24": make(2, 3, 4), "i": t.tensor([0, 1]), "t": t.tensor([0, 1, 2]),
        "g": t.tensor([[0, 1, 2, 0], [1, 1, 0, 2], [2, 0, 1, 0]]), "pair": make(3, 2),
        "m": t.tensor([[True, False, True, False]] * 3), "c": t.complex(make(3, 4), make(3, 4)),
        "img": make(2, 2, 6, 6), "ker": make(3, 2, 2, 2), "kert": make(2, 2, 2, 2),
        "img4": make(1, 4, 2, 2), "v2": make(2), "v3": make(3), "v16": make(32),
        "w8": t.hann_window(8), "t3": make(3, 3), "cols": make(1, 8, 9), "s": make(3, 4) * 0.8,
        "mt": t.tensor([[0, 1, -1, -1]] * 3), "grid": make(2, 2, 2, 2), "theta": make(1, 2, 3),
        "lp": make(5, 2, 4), "tg": t.tensor([[1, 2], [2, 3]]), "il": t.tensor([5, 5]),
        "tl": t.tensor([2, 2]), "o": make(3, 4),
    }  # fmt: skip
    made = {name: wrap(x) for name, x in made.items()}
    made["gx"] = wrap(t.ones(3).requires_grad_())
    made |= {"p": t.nn.Parameter(make(3, 4)), "q": make(3, 4)}
    written = "iadd isub imul ipow imod ifloordiv iand ior ilshift ixor"
    in_place = {name: getattr(operator, name) for name in written.split()}
    return made | in_place | {
        "torch": t, "F": t.nn.functional, "nn": t.nn, "np": np, "copy": copy,
        "idiv": operator.itruediv, "sets": operator.setitem,
    }  # fmt: skip


def seen_of(t, call, how):
    """(the calls that a handler sees, the result or the exception's class)."""
    seen: list = []

    def see(func, types, args, kwargs):
        types = sorted(kind.__name__ for kind in types) if how != "mode" else None
        seen.append((func, types, shown(t, tuple(args)), shown(t, kwargs or {})))

    class Subclass(t.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            see(func, types, args, kwargs)
            return super().__torch_function__(func, types, args, kwargs or {})

    class Mode(t.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            see(func, types, args, kwargs)
            return func(*args, **(kwargs or {}))

    known = operands(t, lambda x: x.as_subclass(Subclass) if how == "class" else x)
    seen.clear()
    t.manual_seed(0)
    if how == "mode":
        with Mode():
            found = eval(call, known)
    else:
        found = eval(call, known)
    with t._C.DisableTorchFunction():
        return seen, shown(t, found)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["class", "mode"])
def test_handlers_see_what_pytorchs_see(how):
    peer = pytest.importorskip("torch")
    theirs, ours = names(peer), names(torch)
    calls = parted(OF_MODES + OF_CLASSES if how == "class" else OF_MODES)
    wrong = []
    for call in calls:
        (wanted, result), (found, own) = seen_of(peer, call, how), seen_of(torch, call, how)
        same = [a[1:] for a in wanted] == [b[1:] for b in found] and result == own
        # One function here may have the names of several in PyTorch.
        if not same or any(
            not theirs.get(a[0], {""}) <= ours.get(b[0], set())
            for a, b in zip(wanted, found, strict=True)
        ):
            wrong.append((call, wanted, found, result, own))
    assert len(calls) > 900 and not wrong, wrong[:10]
