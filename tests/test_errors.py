"""Bad input is refused with PyTorch's type and a message that names what disagrees (errors.txt)."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

import rushlight as torch


def _leaf(t):
    return [t.ones(2, requires_grad=True)]


def _load(t, state):
    t.nn.Linear(3, 2).load_state_dict(state)


def _sections():
    """Lines of errors.txt by section: [(type, call, words)]."""
    found, section = {}, None
    for line in Path(__file__).with_name("errors.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            section = line[2:]
        elif line:
            kind, call, words = line.split(" | ")
            code = compile(call, call, "eval")
            found.setdefault(section, []).append((kind, code, words.split("; ")))
    return found


SECTIONS = _sections()
each = pytest.mark.parametrize("lines", SECTIONS.values(), ids=SECTIONS)


def error_of(code, t):
    """What a call under the framework ``t`` raises; None for nothing."""
    named = {"t": t, "F": t.nn.functional, "leaf": _leaf, "load": _load}
    try:
        eval(code, {"np": np, "deepcopy": deepcopy, **named})
    except Exception as error:
        return error
    return None


@pytest.mark.filterwarnings("ignore")
@each
def test_message(lines):
    poor = []
    for kind, code, words in lines:
        error = error_of(code, torch)
        if not any(k.__name__ == kind for k in type(error).__mro__):
            poor.append(f"{code.co_filename}: {error!r} is no {kind}")
        missing = [w for w in words if w not in str(error)]
        if missing:
            poor.append(f"{code.co_filename}: {missing} not in {error}")
    assert not poor, "\n".join(poor)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@each
def test_type_is_that_of_pytorch(lines):
    peer = pytest.importorskip("torch")
    other = []
    for kind, code, _ in lines:
        error = error_of(code, peer)
        if type(error).__name__ != kind:
            other.append(f"{code.co_filename}: {error!r} is no {kind}")
    assert not other, "\n".join(other)


# History ----------------------------------------------------------------------------------


def leaf_write(t):
    t.ones(3, requires_grad=True).add_(1)


def view_of_leaf_write(t):
    t.ones(3, requires_grad=True)[:2].mul_(2)


def leaf_item_write(t):
    t.ones(3, requires_grad=True)[0] = 1


def saved_value_written(t):
    y = t.ones(3, requires_grad=True).exp()
    y.add_(1)
    y.sum().backward()


def saved_input_written(t):
    x = t.ones(3, requires_grad=True).clone()
    y = x * x
    x.add_(1)
    y.sum().backward()


def backward_twice(t):
    x = t.ones(3, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    y.backward()


def backward_of_many(t):
    (t.ones(3, requires_grad=True) * 2).backward()


def backward_without_graph(t):
    t.ones(3).sum().backward()


def unused_input(t):
    x, y = t.ones(3, requires_grad=True), t.ones(3, requires_grad=True)
    t.autograd.grad(x.sum(), y)


def view_made_in_no_grad(t):
    x = t.ones(3, requires_grad=True).clone()
    with t.no_grad():
        v = x[:2]
    v.mul_(2)


def unbound_write(t):
    a, _, _ = t.ones(3, 2, requires_grad=True).clone().unbind(0)
    a.mul_(2)


def gradient_of_another_shape(t):
    (t.ones(3, requires_grad=True) * 2).backward(t.ones(4))


def inference_write(t):
    with t.inference_mode():
        x = t.ones(3)
    x.add_(1)


def inference_saved(t):
    with t.inference_mode():
        x = t.ones(3)
    t.ones(3, requires_grad=True) * x


HISTORY = {
    leaf_write: ("add_", "leaf", "no_grad()"),
    view_of_leaf_write: ("mul_", "view of a leaf", "no_grad()"),
    leaf_item_write: ("leaf",),
    saved_value_written: ("ExpBackward0", "(3,)", "clone()"),
    saved_input_written: ("MulBackward0", "(3,)", "clone()"),
    backward_twice: ("second time", "retain_graph=True"),
    backward_of_many: ("backward", "scalar", "(3,)", "gradient="),
    backward_without_graph: ("backward", "require grad"),
    unused_input: ("grad", "allow_unused=True"),
    view_made_in_no_grad: ("mul_", "no_grad"),
    unbound_write: ("mul_", "UnbindBackward0", "clone()"),
    gradient_of_another_shape: ("backward", "(4,)", "(3,)"),
    inference_write: ("add_", "inference", "clone"),
    inference_saved: ("mul", "nference", "clone()"),
}


@pytest.mark.parametrize("call", HISTORY, ids=lambda call: call.__name__)
def test_history(call):
    with pytest.raises(RuntimeError) as error:
        call(torch)
    assert [w for w in HISTORY[call] if w not in str(error.value)] == []


@pytest.mark.parity
def test_history_type_is_that_of_pytorch():
    peer = pytest.importorskip("torch")
    for call in HISTORY:
        with pytest.raises(RuntimeError):
            call(peer)


# An error changes nothing -------------------------------------------------------------------


def test_a_refused_write_leaves_the_tensor():
    x = torch.arange(3.0)
    version = x._version
    for write in (
        lambda: x.add_(torch.ones(4)),
        lambda: x.copy_(torch.ones(2)),
        lambda: x.__setitem__(7, 1.0),
        lambda: x.index_copy_(0, torch.tensor([0, 5]), torch.ones(2)),
        lambda: x.scatter_(0, torch.tensor([0, 3]), 9.0),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            write()
    assert x.tolist() == [0, 1, 2]
    assert x._version == version


def test_a_refused_state_dict_loads_nothing_of_the_wrong_shape():
    layer = torch.nn.Linear(3, 2)
    before = layer.weight.clone()
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": torch.ones(3, 3), "bias": torch.zeros(2)})
    assert torch.equal(layer.weight, before)
    assert layer.load_state_dict({"bias": torch.ones(2)}, strict=False).missing_keys == ["weight"]
