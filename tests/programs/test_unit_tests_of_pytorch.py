"""What PyTorch's own unit tests ask for, beyond what programs use; compared with live PyTorch."""

import pytest

import rushlight

#: Name → a call that takes the framework. Each raises an error in PyTorch, or returns numbers.
CALLS = {
    "narrow from a float": lambda t: t.arange(6).narrow(0, t.tensor(0.0), 1),
    "narrow from a vector": lambda t: t.arange(6).narrow(0, t.tensor([0]), 1),
    "narrow from a bool": lambda t: t.arange(6).narrow(0, t.tensor(True), 1),
    "narrow from a small int": lambda t: t.arange(6).narrow(0, t.tensor(1, dtype=t.uint8), 1),
    "tensor_split at a matrix": lambda t: t.arange(6).tensor_split(t.tensor([[1]])),
    "tensor_split at floats": lambda t: t.arange(6).tensor_split(t.tensor([1.5])),
    "tensor_split at a vector": lambda t: t.arange(6).tensor_split(t.tensor([1, 4])),
    "index_put at nothing": lambda t: t.rand(()).index_put([], t.ones(1), True),
    "resize_ beyond memory": lambda t: t.empty(()).resize_([8, 8, 2**29, 2**29]),
    "resize_ beyond an int64": lambda t: t.empty(()).resize_([2**31, 2**31, 4]),
    "dlpack of a stream": lambda t: t.ones(1).__dlpack__(stream=object()),
    "dlpack of stream True": lambda t: t.ones(1).__dlpack__(stream=True),
    "dlpack of stream 1": lambda t: t.ones(1).__dlpack__(stream=1),
    "pack nested lengths": lambda t: packed(t, [[3], [2], [1]]),
    "pack a matrix of lengths": lambda t: packed(t, t.tensor([[3], [2], [1]])),
    "pack a 0-dim length": lambda t: packed(t, t.tensor(3)),
    "pack lengths": lambda t: packed(t, t.tensor([3, 2, 1])),
    "Storage": lambda t: t.Storage([1.0, 2.0]).tolist(),
}


def packed(t, lengths):
    return t.nn.utils.rnn.pack_padded_sequence(t.arange(9.0).reshape(3, 3, 1), lengths).data


def outcome(call, torch):
    try:
        found = call(torch)
    except Exception as error:
        return next(c for c in type(error).__mro__ if c.__module__ == "builtins")
    parts = found if isinstance(found, (tuple, list)) else [found]
    return [x.tolist() if isinstance(x, torch.Tensor) else x for x in parts]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize("name", CALLS)
def test_the_outcome_is_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert outcome(CALLS[name], rushlight) == outcome(CALLS[name], torch)


def test_a_handle_knows_its_hooks():
    handle = rushlight.nn.Identity().register_forward_hook(print)
    assert handle.hooks_dict_ref() is None  # the layer is gone
    layer = rushlight.nn.Identity()
    handle = layer.register_forward_hook(print)
    assert handle.hooks_dict_ref() is layer._forward_hooks
    assert list(handle.hooks_dict_ref()) == [handle.id]


def test_the_text_of_a_deprecation_can_be_imported():
    text = rushlight.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING
    scheduler = rushlight.optim.lr_scheduler.StepLR(
        rushlight.optim.SGD([rushlight.zeros(1, requires_grad=True)]), 1
    )
    with pytest.warns(UserWarning) as caught:
        scheduler.step(2)
    assert text in [str(w.message) for w in caught]
