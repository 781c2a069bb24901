"""Warnings of PyTorch's that are shown once, or at every call, at the user's line."""

import warnings

import pytest

import rushlight as torch
from rushlight import notices

HERE = __file__


def _warned(call):
    """The texts of the warnings of ``call``, all at a line of this file."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    assert all(w.filename == HERE and w.category is UserWarning for w in found)
    return [str(w.message) for w in found]


@pytest.fixture
def fresh():
    """Nothing has been shown yet in this process."""
    notices.shown.clear()


_LEAF = torch.tensor(2.0, requires_grad=True)


def _encoded():
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 1).eval()
    padding = torch.tensor([[False, True], [False, False]])
    with torch.no_grad():
        return encoder(torch.ones(2, 2, 4), src_key_padding_mask=padding)


ONCE = {
    "float": (lambda: float(_LEAF), "Converting a tensor with requires_grad=True to a scalar"),
    "complex": (lambda: complex(_LEAF * 1), "Converting a tensor with requires_grad=True"),
    "csr": (lambda: torch.eye(2).to_sparse_csr(), "Sparse CSR tensor support is in beta state"),
    "bsr": (lambda: torch.sparse_bsr_tensor([0, 1], [0], [[[1.0]]]), "Sparse BSR tensor support"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(1)]), "The PyTorch API of nested"),
    "encoder": (lambda: _encoded(), "The PyTorch API of nested"),
    "projected": (lambda: torch.nn.LSTM(3, 4, proj_size=2)(torch.ones(2, 1, 3)), "LSTM with proj"),
    "quantized": (
        lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
        "torch.quantize_per_tensor, torch.quantize_per_channel and other quantized tensor creation",
    ),
    **(
        {
            "complex32": (lambda: torch.zeros(2, dtype=torch.complex32), "ComplexHalf support is"),
            "chalf": (lambda: torch.ones(2).chalf(), "ComplexHalf support is"),
        }
        if hasattr(torch, "complex32")
        else {}
    ),
    "storage": (lambda: torch.ones(1).storage(), "TypedStorage is deprecated"),
    "FloatStorage": (lambda: torch.FloatStorage(3), "TypedStorage is deprecated"),
    "type": (lambda: torch.set_default_tensor_type(torch.FloatTensor), "torch.set_default_tensor"),
}


@pytest.mark.parametrize("name", ONCE)
def test_warnings_that_a_process_shows_once(name, fresh):
    call, begins = ONCE[name]
    (text,) = _warned(call)
    assert text.startswith(begins)
    assert _warned(call) == []
    torch.set_warn_always(True)
    try:
        assert len(_warned(call)) == 1
    finally:
        torch.set_warn_always(False)


def test_all_compressed_layouts_are_warned_of_together(fresh):
    assert len(_warned(lambda: [torch.eye(2).to_sparse_csr(), torch.eye(2).to_sparse_csc()])) == 1


@pytest.mark.parametrize("call", [
    lambda: int(_LEAF), lambda: _LEAF.item(), lambda: f"{_LEAF:.1f}", lambda: bool(_LEAF),
    lambda: float(_LEAF.detach()), lambda: torch.eye(2).to_sparse(),
    lambda: torch.nested.nested_tensor([torch.ones(1)], layout=torch.jagged),
    lambda: torch.ones(1).untyped_storage(), lambda: torch.save(torch.ones(1), "/dev/null"),
    lambda: torch.ones(3, 3)[[0, 1]], lambda: torch.ones(3, 3)[[0, 1], [1, 2]],
])  # fmt: skip
def test_no_warning(call, fresh):
    assert _warned(call) == []


@pytest.mark.parametrize("index", [
    [[0, 1], [1, 2]], [slice(0, 2), 1], [None, 0], [..., 0], [torch.tensor([0]), slice(None)],
])  # fmt: skip
def test_a_list_that_means_a_tuple_is_warned_of_each_time(index):
    x = torch.arange(9).reshape(3, 3)
    for _ in range(3):  # a call that repeats could be replayed, without its warning
        (text,) = _warned(lambda: x[index])
        assert text.startswith("Using a non-tuple sequence for multidimensional indexing")
        assert len(_warned(lambda: x.__setitem__(index, 1))) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(x[index], x[tuple(index)])


def test_items_are_not_deleted():
    x = torch.zeros(3)
    with pytest.raises(TypeError, match="Tensor does not support deleting items"):
        del x[0]
