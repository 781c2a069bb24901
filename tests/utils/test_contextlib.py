"""Contexts that decorate, dicts with weak keys, and symbolic numbers: what libraries ask for."""

import gc

import pytest

import rushlight as torch
from rushlight.utils._contextlib import (
    _DecoratorContextManager,
    _NoParamDecoratorContextManager,
)
from rushlight.utils._device import set_device
from rushlight.utils.weak import TensorWeakRef, WeakIdKeyDictionary

EVENTS: list = []


class Notes(_NoParamDecoratorContextManager):
    def __enter__(self):
        EVENTS.append("in")

    def __exit__(self, *error):
        EVENTS.append("out")


def test_a_context_decorates_functions_and_generators():
    EVENTS.clear()

    @Notes
    def double(x):
        EVENTS.append(x)
        return 2 * x

    assert double(1) == 2 and EVENTS == ["in", 1, "out"]

    @Notes()
    def steps():
        try:
            got = yield 1
        except ValueError:
            got = "caught"
        EVENTS.append(got)
        return "end"

    EVENTS.clear()
    running = steps()
    assert next(running) == 1 and EVENTS == ["in", "out"]
    with pytest.raises(StopIteration, match="end"):
        running.send("sent")
    assert EVENTS == ["in", "out", "in", "sent", "out"]
    running = steps()
    next(running)
    with pytest.raises(StopIteration):
        running.throw(ValueError())
    assert EVENTS[-2:] == ["caught", "out"]
    with pytest.warns(FutureWarning, match="decorating a class"):
        Notes(type("Empty", (), {"__init__": lambda self: None}))
    with pytest.raises(NotImplementedError):
        _DecoratorContextManager().__enter__()


def test_the_steps_of_a_generator_run_on_the_device_that_decorates_it():
    ended = []

    @set_device("meta")
    def steps():
        try:
            got = yield torch.empty(1).device.type
            yield got, torch.empty(1).device.type
        finally:
            ended.append(torch.empty(1).device.type)

    running = steps()
    assert next(running) == "meta" and torch.empty(1).device.type == "cpu"
    assert running.send("sent") == ("sent", "meta")
    running.close()
    assert ended == ["meta"] and torch.empty(1).device.type == "cpu"
    with pytest.raises(RuntimeError, match="Cannot decorate classes"):
        set_device("meta")(type("Empty", (), {}))


def test_weak_keys_by_identity():
    x, y = torch.ones(2), torch.ones(2)
    names = WeakIdKeyDictionary({x: "x"})
    assert x in names and y not in names and 3 not in names
    names[y] = "y"
    assert list(names.values()) == ["x", "y"] and names.copy() == names
    reference = TensorWeakRef(x)
    del x
    gc.collect()
    assert list(names.values()) == ["y"] and reference() is None


def test_symbolic_numbers():
    assert torch.sym_max(2, 1.5) == 2.0 and isinstance(torch.sym_max(2, 1.5), float)
    assert torch.sym_int(2.7) == 2 and not isinstance(2, torch.SymInt)
    with pytest.raises(NotImplementedError, match=r"torch\.SymInt"):
        torch.SymInt(3)


def test_small_private_names():
    assert torch._shape_as_tensor(torch.ones(2, 3)).tolist() == [2, 3]
    assert (
        torch._int_mm(torch.full((2, 2), 100, dtype=torch.int8), torch.ones(2, 2).char()).max()
        == 200
    )
    with pytest.raises(RuntimeError, match="too bad"):
        torch._assert_async(torch.tensor(0), "too bad")
    assert torch._VF.lstm is torch.lstm
    assert torch._utils._get_device_index("cuda:1") == 1
    x = torch.ones(2)
    assert torch._C._is_alias_of(x, x[1:]) and not torch._C._is_alias_of(x, x.clone())
    with pytest.raises(NotImplementedError, match="emit_nvtx"), torch.autograd.profiler.emit_nvtx():
        pass


def test_inside_vmap():
    from rushlight._C import _are_functorch_transforms_active
    from rushlight.func.interior import _add_batch_dim, is_batchedtensor

    seen = []

    def note(x):
        seen.append((is_batchedtensor(x), _are_functorch_transforms_active()))
        return x

    torch.vmap(note)(torch.ones(2, 3))
    note(torch.ones(2))
    assert seen == [(True, True), (False, False)]
    with pytest.raises(NotImplementedError, match="_add_batch_dim"):
        _add_batch_dim(torch.ones(2), 0, 1)
    with pytest.raises(NotImplementedError, match="level 0"):
        _add_batch_dim(torch.ones(2), 0, 0)


def test_swap_tensor():
    from rushlight.nn.utils._named_member_accessor import swap_tensor

    layer = torch.nn.Linear(1, 1)
    weight = layer.weight
    assert swap_tensor(layer, "weight", torch.zeros(1, 1)) is weight
    assert layer(torch.ones(1)).item() == layer.bias.item()
    with pytest.raises(AttributeError, match="no attribute 'none'"):
        swap_tensor(layer, "none", weight)
