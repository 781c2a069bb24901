"""Nested tensors as objects: construction, shape, text, history, writes, compiled functions."""

import warnings

import numpy as np
import pytest

import rushlight as torch
from tests.nested.parity import counted as nested

F = torch.nn.functional


# Construction -----------------------------------------------------------------------------


def test_a_list_becomes_values_and_offsets():
    x = nested()
    assert x.is_nested
    assert x.layout is torch.jagged
    assert x.offsets().tolist() == [0, 2, 6]
    assert x.lengths() is None
    assert x.values().shape == (6, 3)
    assert [t.shape for t in x.unbind()] == [(2, 3), (4, 3)]
    assert not torch.ones(2).is_nested


def test_the_ragged_dim_may_be_a_later_one():
    x = torch.nested.nested_tensor([torch.ones(3, 2), torch.ones(3, 5)], layout=torch.jagged)
    assert x.values().shape == (3, 7)
    assert x.shape == (2, 3, x.size(2))
    assert [t.shape for t in x.unbind()] == [(3, 2), (3, 5)]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], "empty tensor list"),
        ([torch.ones(2), torch.ones(2, 2)], "same dim"),
        ([torch.ones(2), torch.ones(2).int()], "same dtype"),
        ([torch.tensor(1.0)], "zero-dim"),
        ([torch.ones(1, 2), torch.ones(2, 3)], "single ragged dimension"),
    ],
)
def test_lists_that_are_no_jagged_tensor(tensors, message):
    with pytest.raises(RuntimeError, match=message):
        torch.nested.nested_tensor(tensors, layout=torch.jagged)


def test_other_arguments_are_refused():
    with pytest.raises(TypeError, match="list of tensors"):
        torch.nested.nested_tensor(torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="unsupported"):
        torch.nested.nested_tensor([torch.ones(2)], layout=torch.sparse_coo)
    with pytest.raises(TypeError, match="as_nested_tensor"):
        torch.nested.as_nested_tensor([1, 2])
    with pytest.raises(RuntimeError, match=r"dim\(\) > 1"):
        torch.nested.as_nested_tensor(torch.ones(2))
    with pytest.raises(RuntimeError, match="Converting"):
        torch.nested.as_nested_tensor(nested(), layout=torch.strided)


def test_nested_tensor_copies_and_forgets_the_history():
    a = torch.ones(2, requires_grad=True)
    x = torch.nested.nested_tensor([a, a], layout=torch.jagged, dtype=torch.float64)
    assert not x.requires_grad
    assert x.dtype is torch.float64
    with torch.no_grad():
        a.zero_()
    assert x.values().tolist() == [1, 1, 1, 1]


def test_as_nested_tensor_keeps_the_history():
    a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    x = torch.nested.as_nested_tensor([a, b], layout=torch.jagged)
    assert not x.is_leaf
    x.backward(torch.full_like(x, 3.0))
    assert a.grad.tolist() == [3, 3]
    assert b.grad.tolist() == [3, 3, 3]
    assert torch.nested.as_nested_tensor(x, layout=torch.jagged) is x


def test_as_nested_tensor_of_a_batch_shares_its_memory():
    batch = torch.zeros(2, 3, 4)
    x = torch.nested.as_nested_tensor(batch, layout=torch.jagged)
    assert x.offsets().tolist() == [0, 3, 6]
    batch[1, 0, 0] = 7
    assert x[1][0, 0] == 7


def test_from_jagged_shares_memory_and_history():
    values = torch.zeros(5, 2, requires_grad=True)
    x = torch.nested.nested_tensor_from_jagged(values, torch.tensor([0, 2, 5]))
    assert x.requires_grad
    assert not x.is_leaf
    (x * 2).sum().backward()
    assert values.grad.tolist() == [[2, 2]] * 5
    with torch.no_grad():
        values.fill_(4)
    assert x[0].tolist() == [[4, 4], [4, 4]]


def test_from_jagged_of_lengths_and_of_gaps():
    x = torch.nested.nested_tensor_from_jagged(torch.arange(5), lengths=torch.tensor([3, 2]))
    assert x.offsets().tolist() == [0, 3, 5]
    assert x.lengths() is None
    offsets, lengths = torch.tensor([0, 4, 8]), torch.tensor([3, 1])
    x = torch.nested.nested_tensor_from_jagged(torch.arange(8.0), offsets, lengths)
    assert [t.tolist() for t in x.unbind()] == [[0, 1, 2], [4]]
    assert not x.is_contiguous()
    assert x.numel() == 4
    assert x.sum() == 7
    assert [t.tolist() for t in x.contiguous().unbind()] == [[0, 1, 2], [4]]
    assert x.contiguous().lengths() is None
    assert [t.tolist() for t in (x * 2).unbind()] == [[0, 2, 4], [8]]
    for call in (lambda: x.to_padded_tensor(0.0), lambda: x.sum(1), lambda: x.softmax(1)):
        with pytest.raises(RuntimeError, match=r"holes|lengths"):
            call()


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [([0, 3, 2], None), ([0, 9], None), ([-1, 2], None), ([0, 2, 4], [3, 9]), ([0, 2], [-1])],
)
def test_offsets_that_do_not_fit_the_values(offsets, lengths):
    lengths = None if lengths is None else torch.tensor(lengths)
    with pytest.raises(RuntimeError, match="do not fit"):
        torch.nested.nested_tensor_from_jagged(torch.ones(5), torch.tensor(offsets), lengths)


def test_from_jagged_refuses_incomplete_arguments():
    with pytest.raises(RuntimeError, match="At least one"):
        torch.nested.nested_tensor_from_jagged(torch.ones(5))
    with pytest.raises(ValueError, match="jagged_dim"):
        torch.nested.nested_tensor_from_jagged(torch.ones(5), torch.tensor([0, 5]), jagged_dim=0)
    with pytest.raises(RuntimeError, match="batch sizes"):
        torch.nested.nested_tensor_from_jagged(
            torch.ones(5), torch.tensor([0, 5]), torch.tensor([1, 2])
        )
    with pytest.raises(RuntimeError, match="1D tensor of ints"):
        torch.nested.nested_tensor_from_jagged(torch.ones(5), torch.tensor([0.0, 5.0]))


def test_a_maximum_that_is_too_small_is_no_silent_cut():
    offsets = torch.tensor([0, 4, 5])
    x = torch.nested.nested_tensor_from_jagged(torch.ones(5), offsets, max_seqlen=2)
    with pytest.raises(RuntimeError, match="max_seqlen"):
        x.to_padded_tensor(0.0)
    x = torch.nested.nested_tensor_from_jagged(torch.ones(5), offsets, max_seqlen=6)
    assert x.to_padded_tensor(0.0).shape == (2, 6)


def test_narrow_is_a_view_of_a_part_of_each_row():
    x = torch.arange(10).view(2, 5)
    y = torch.nested.narrow(x, 1, torch.tensor([1, 0]), torch.tensor([2, 4]), torch.jagged)
    assert [t.tolist() for t in y.unbind()] == [[1, 2], [5, 6, 7, 8]]
    assert y.lengths().tolist() == [2, 4]
    x[0, 1] = 70
    assert y[0].tolist() == [70, 2]
    y = torch.nested.narrow(x, 1, torch.tensor([2, 0]), torch.tensor([3, 4]), torch.jagged)
    assert y.is_contiguous()
    y = torch.nested.narrow(x, 1, 1, 2, torch.jagged)
    assert [t.tolist() for t in y.unbind()] == [[70, 2], [6, 7]]
    assert torch.nested.narrow(x, 1, 1, 2)[0].tolist() == [70, 2]
    with pytest.raises(RuntimeError, match="reach beyond"):
        torch.nested.narrow(x, 1, 3, 3, torch.jagged)
    with pytest.raises(RuntimeError, match="dim=1"):
        torch.nested.narrow(x, 0, 0, 1, torch.jagged)


def test_a_narrow_row_in_the_middle_may_not_fill_it():
    x = torch.arange(15).view(3, 5)
    starts, counts = torch.tensor([2, 0, 1]), torch.tensor([3, 5, 4])
    y = torch.nested.narrow(x, 1, starts, counts, torch.jagged)
    assert [t.tolist() for t in y.unbind()] == [[2, 3, 4], [5, 6, 7, 8, 9], [11, 12, 13, 14]]


# Shape and text ---------------------------------------------------------------------------


def test_tensors_of_the_same_offsets_have_the_same_size():
    x, y = nested(), nested()
    assert x.shape == (x * 2).shape == x.clone().shape == F.relu(x).shape
    assert x.shape != y.shape
    assert x.shape[0] == 2
    assert x.size(-1) == 3
    z = torch.nested.nested_tensor_from_jagged(torch.ones(6, 3), x.offsets())
    assert z.shape == x.shape
    assert x.size(1) == z.size(1) != y.size(1)
    assert str(x.shape) == f"torch.Size([2, {x.size(1)}, 3])"
    assert str(x.shape.numel()) == f"6*{x.size(1)}"
    assert x.size(1) >= 2
    with pytest.raises(RuntimeError, match="not one number"):
        range(x.size(1))
    with pytest.raises(ValueError, match="indeterminate"):
        assert x.size(1) > 5


def test_operands_of_other_offsets_are_refused():
    with pytest.raises(RuntimeError, match="same offsets"):
        nested() + nested()
    with pytest.raises(RuntimeError, match="ragged dim"):
        torch.cat([nested(), nested()], -1)
    with pytest.raises(RuntimeError, match="ragged dim"):
        nested() + torch.ones(2, 7, 3)
    x = torch.ones(2, 2, 3).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        nested() * x


def test_a_dense_operand_is_spread_over_the_sequences():
    x = nested()
    rows = torch.tensor([10.0, 20.0]).view(2, 1, 1)
    assert [(t - s).unique().tolist() for t, s in
            zip((x + rows).unbind(), x.unbind(), strict=True)] == [[10], [20]]  # fmt: skip
    heads = x.unflatten(-1, [3, 1]).transpose(1, 2)  # (2, 3, j, 1)
    found = heads * torch.arange(6.0).view(2, 3, 1, 1)
    for k, part in enumerate(found.unbind()):
        expected = heads[k] * torch.arange(6.0).view(2, 3, 1, 1)[k]
        assert torch.equal(part, expected)
    with pytest.raises(RuntimeError, match="size 1"):
        heads + torch.ones(6, 1)  # as many as the values have at the ragged dim


@pytest.mark.filterwarnings("ignore")
def test_texts_are_pytorchs():
    other = pytest.importorskip("torch")

    def texts(torch):
        parts = [torch.ones(2, 3), torch.ones(1, 3)]
        x = torch.nested.nested_tensor(parts, layout=torch.jagged, requires_grad=True)
        y = torch.nested.nested_tensor(parts, requires_grad=True)
        found = [str(x), str(x * 2), str(x.transpose(1, 2).detach()), str([x.detach()]), str(y),
                 str(y * 2), str(y.detach()), str(torch.nested.nested_tensor([])),
                 str(torch.nested.nested_tensor([torch.tensor(1.0), torch.tensor(2.0)]))]  # fmt: skip
        return [text.split(" object")[0].replace(str(x.size(1)), "j") for text in found]

    assert texts(torch) == texts(other)


# History ----------------------------------------------------------------------------------


def test_the_gradient_of_a_leaf_is_nested_and_adds_up():
    x = nested(requires_grad=True)
    assert x.is_leaf
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.shape == x.shape
    assert x.grad.values().unique().tolist() == [5]
    x.grad = None
    assert x.grad is None
    (x * x).backward(torch.ones_like(x))
    assert torch.equal(x.grad.values(), 2 * x.values())


def test_autograd_takes_nested_inputs_and_outputs():
    x = nested(requires_grad=True)
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x, torch.ones_like(x))
    assert torch.equal(second.values(), 6 * x.values().detach())
    torch.autograd.backward(x * 2, torch.ones_like(x))
    assert x.grad.values().unique().tolist() == [2]
    (missing,) = torch.autograd.grad(torch.ones(1, requires_grad=True), x, materialize_grads=True)
    assert missing.values().unique().tolist() == [0]
    with pytest.raises(RuntimeError, match="implicitly"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(nested())


def test_hooks_and_gradients_of_computed_tensors():
    x = nested(requires_grad=True)
    x.register_hook(lambda g: g * 10)
    y = x * 2
    y.retain_grad()
    (y * 3).sum().backward()
    assert x.grad.values().unique().tolist() == [60]
    assert y.grad.values().unique().tolist() == [3]
    with torch.no_grad():
        assert not (x * 2).requires_grad
    assert not x.detach().requires_grad


def test_writes_reach_the_values():
    x = nested()
    values = x.values()
    x += 1
    x.mul_(2)
    assert torch.equal(values, (torch.cat(list(nested().unbind())) + 1) * 2)
    assert x.zero_() is x
    assert values.count_nonzero() == 0
    x[0].fill_(5)
    assert x.values()[:2].unique().tolist() == [5]
    x.copy_(torch.ones_like(x))
    assert values.unique().tolist() == [1]
    with pytest.raises(RuntimeError, match="leaf"):
        nested(requires_grad=True).mul_(2)
    with pytest.raises(NotImplementedError, match="assignment"):
        x[0] = 1


def test_dropout_draws_pytorchs_numbers():
    other = pytest.importorskip("torch")
    found = []
    for t in (torch, other):
        t.manual_seed(0)
        parts = [t.ones(5, 3), t.ones(2, 3)]
        x = t.nested.nested_tensor(parts, layout=t.jagged)
        found.append(t.nn.Dropout(0.4)(x).values().tolist())
    assert found[0] == found[1]


def test_embedding_of_nested_indices():
    table = torch.nn.Embedding(9, 4)
    indices = torch.nested.nested_tensor([[1, 2], [3]], layout=torch.jagged)
    found = table(indices)
    assert torch.equal(found[1], table(torch.tensor([3])))
    found.sum().backward()
    assert table.weight.grad.sum(1).tolist() == [0, 4, 4, 4, 0, 0, 0, 0, 0]


def test_autocast_applies_to_the_values():
    with torch.autocast("cpu"):
        assert torch.nn.Linear(3, 3)(nested()).dtype is torch.bfloat16


# Padding ----------------------------------------------------------------------------------


def test_padding_has_gradients_and_cuts_at_output_size():
    x = nested(requires_grad=True)
    dense = torch.nested.to_padded_tensor(x, -1.0)
    assert dense.shape == (2, 4, 3)
    assert dense[0, 2:].unique().tolist() == [-1]
    dense.sum().backward()
    assert x.grad.values().unique().tolist() == [1]
    assert x.to_padded_tensor(0.0, (2, 1, 3)).shape == (2, 1, 3)
    with pytest.raises(RuntimeError, match="output_size"):
        x.to_padded_tensor(0.0, (2, 6, 4))
    with pytest.raises(TypeError, match="nested"):
        torch.nested.to_padded_tensor(torch.ones(2), 0.0)


def test_empty_sequences():
    x = torch.nested.nested_tensor_from_jagged(torch.ones(3, 2), torch.tensor([0, 0, 3, 3]))
    assert [len(t) for t in x.unbind()] == [0, 3, 0]
    assert x.sum(1).tolist() == [[0, 0], [3, 3], [0, 0]]
    assert x.mean(1).isnan().tolist() == [[True] * 2, [False] * 2, [True] * 2]
    assert x.to_padded_tensor(5.0)[0].unique().tolist() == [5]
    y = x.clone().requires_grad_()
    y.softmax(1).sum().backward()
    assert y.grad.values().isnan().sum() == 0
    heads = x.unflatten(-1, [2, 1]).transpose(1, 2)
    assert F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).shape[3] == 1


@pytest.mark.filterwarnings("ignore")
def test_reductions_of_ints_and_of_empty_sequences_are_pytorchs():
    other = pytest.importorskip("torch")

    def run(torch):
        offsets = torch.tensor([0, 2, 2, 6])
        x = torch.nested.nested_tensor_from_jagged(torch.arange(6), offsets, max_seqlen=4)
        y = x[torch.tensor(0)], x.sum(1), x.amax(1), x.amin(1), x.mean(1), (x > 1).any(1)
        z = x.float().amax(1), x.float().amin(1), x.float().mean(1), x.to_padded_tensor(7)
        return [(str(t.dtype), str(t.tolist())) for t in (*y, *z)]

    assert run(torch) == run(other)


def test_masked_select():
    x = torch.tensor([[1, 2, 3], [4, 5, 6]])
    y = torch.nested.masked_select(x, torch.tensor([[True, False, True], [False, False, True]]))
    assert [t.tolist() for t in y.unbind()] == [[1, 3], [6]]
    z = y.masked_select(y > 2)
    assert [t.tolist() for t in z.unbind()] == [[3], [6]]


# What does not exist ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.numpy(), lambda x: np.asarray(x), lambda x: x.tolist(), lambda x: x.sort(),
        lambda x: torch.einsum("bij->bj", x), lambda x: torch.where(x > 0), lambda x: x.nonzero(),
        lambda x: F.pad(x, (0, 1)), lambda x: F.cross_entropy(x, torch.zeros(2).long()),
        lambda x: torch.zeros(2, 4, 3).add_(x), lambda x: torch.zeros(2, 4, 3).copy_(x),
        lambda x: torch.nn.MultiheadAttention(3, 1)(x, x, x),
        lambda x: torch.nn.Conv1d(3, 3, 1)(x), lambda x: torch.nn.LSTM(3, 3, batch_first=True)(x),
        lambda x: torch.nn.BatchNorm1d(3)(x), lambda x: torch.vmap(lambda t: t * 2)(x),
        lambda x: torch.relu(x, out=x), lambda x: bool(x), lambda x: float(x), lambda x: x.to_sparse(),
        lambda x: F.linear(torch.ones(3, 3), x), lambda x: x.to_dense(), lambda x: torch.tensor(x),
        lambda x: torch.linalg.norm(x), lambda x: torch.fft.fft(x), lambda x: x.T,
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["jagged", "strided"])
@pytest.mark.filterwarnings("ignore")
def test_functions_without_a_rule_refuse(call, layout):
    parts = [torch.ones(2, 3), torch.ones(4, 3)]
    x = torch.nested.nested_tensor(parts, layout=getattr(torch, layout))
    with pytest.raises((RuntimeError, TypeError)):
        call(x)


def _without_rule(kind):
    """The methods of dense tensors that a class of nested tensors neither defines nor has rules for."""
    classes = kind.__mro__[: kind.__mro__.index(torch.Tensor)]
    own = {name for cls in classes for name in vars(cls)} | set(kind.RULES)
    return [name for name in dir(torch.Tensor)
            if name not in own and callable(getattr(torch.Tensor, name))
            and (not name.startswith("_") or name in ("__rpow__", "__mod__", "__abs__", "__eq__"))
            and name not in ("register_post_accumulate_grad_hook", "name")]  # fmt: skip


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_methods_without_a_rule_refuse_or_apply_to_each_sequence(layout):
    """No method computes a result from something else than the elements, without saying so."""
    parts = [torch.rand(2, 3) + 0.1, torch.rand(4, 3) + 0.1]
    x = torch.nested.nested_tensor(parts, layout=getattr(torch, layout))
    ran = 0
    for name in _without_rule(type(x)):
        for args in ((), (x,), (1,), (0.5,), (x, x), (0, 1)):
            try:
                found = getattr(x, name)(*args)
            except Exception:
                continue
            if not isinstance(found, torch.Tensor):
                continue
            assert found.is_nested, name
            ran += 1
            for k, part in enumerate(found.unbind()):
                given = [a[k] if a is x else a for a in args]
                torch.testing.assert_close(part, getattr(x[k], name)(*given), equal_nan=True)
    assert ran > 150


def test_attention_refuses_what_does_not_fit():
    x = nested().unflatten(-1, [3, 1])
    heads = x.transpose(1, 2)
    attend = F.scaled_dot_product_attention
    with pytest.raises(RuntimeError, match="transpose"):
        attend(x, x, x)
    with pytest.raises(RuntimeError, match="dense tensor"):
        attend(heads, torch.ones(2, 3, 4, 1), torch.ones(2, 3, 4, 1))
    with pytest.raises(ValueError, match="Masks"):
        attend(heads, heads, heads, torch.ones(4, 4))
    other = nested().unflatten(-1, [3, 1]).transpose(1, 2)
    with pytest.raises(RuntimeError, match="same ragged dim"):
        attend(heads, heads, other)


# torch.compile ----------------------------------------------------------------------------


def _warned(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call()
    return found, [str(w.message) for w in caught]


def test_compiled_functions_of_nested_tensors_run_eagerly():
    compiled = torch.compile(lambda x: F.relu(x) * 2)
    found, messages = _warned(lambda: compiled(nested()))
    assert torch.equal(found.values(), nested().values() * 2)
    assert any("nested tensor" in m for m in messages)
    found, _ = _warned(lambda: compiled(nested(lengths=(1, 5, 2))))
    assert found.offsets().tolist() == [0, 1, 6, 8]
    with pytest.raises(RuntimeError, match="nested"):
        torch.compile(lambda x: x * 2, fullgraph=True)(nested())


def test_nested_tensors_made_or_read_inside_are_never_frozen():
    made = torch.compile(lambda *t: torch.nested.nested_tensor(list(t), layout=torch.jagged).sum())
    assert _warned(lambda: made(torch.ones(2), torch.ones(3)))[0] == 5
    assert _warned(lambda: made(torch.ones(2), torch.ones(7) * 2))[0] == 16
    box = [nested()]
    read = torch.compile(lambda a: (box[0] * a).sum())
    first, _ = _warned(lambda: read(torch.tensor(2.0)))
    box[0] = nested() * 0
    assert first == 162
    assert _warned(lambda: read(torch.tensor(2.0)))[0] == 0


def test_comparison_of_nested_tensors():
    x = nested()
    torch.testing.assert_close(x, nested())
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(x, x + 1)
    with pytest.raises(AssertionError, match="parts"):
        torch.testing.assert_close(x, nested(lengths=(2, 4, 1)))
    with pytest.raises(AssertionError, match="nested"):
        torch.testing.assert_close(x, torch.ones(2, 3))
    assert 11.0 in x
    assert 99.0 not in x


def test_functions_of_parts_do_not_depend_on_other_classes():
    """As long as a class with ``__torch_function__`` exists, every function asks its operands."""
    x = torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)], layout=torch.jagged)
    call = lambda: [f(x).values() for f in (F.selu, F.relu6, F.softsign)]
    before = call()

    class Other(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {})

    assert all(map(torch.equal, before, call()))
    del Other
