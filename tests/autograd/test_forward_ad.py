"""Dual tensors of ``torch.autograd.forward_ad``."""

import pytest

import rushlight as torch
from rushlight.autograd import forward_ad as fw


def test_tangents_of_results():
    with fw.dual_level():
        x = fw.make_dual(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5]))
        y = fw.make_dual(torch.tensor([3.0, 2.0]), torch.tensor([0.0, 1.0]))
        found = fw.unpack_dual(x * y)
        assert found.primal.tolist() == [3, 4] and not found.primal.requires_grad
        assert found.tangent.tolist() == [3, 3] and not found.tangent.requires_grad
        assert fw.unpack_dual(x).tangent.tolist() == [1, 0.5]
        assert fw.unpack_dual(torch.ones(2)).tangent is None


def test_a_dual_tensor_gives_the_very_tangent_that_it_was_made_of():
    tangents = torch.rand(3), torch.rand(3, requires_grad=True)
    with fw.dual_level():
        duals = [fw.make_dual(torch.ones(3), t) for t in tangents]
        for dual, tangent in zip(duals, tangents, strict=True):
            assert fw.unpack_dual(dual).tangent is tangent
            assert fw.unpack_dual(dual.view(3)).tangent.equal(tangent)


def test_a_dual_tensor_may_be_written():
    with fw.dual_level():
        x = fw.make_dual(torch.tensor([1.0, 2.0]), torch.ones(2))
        x.mul_(3).add_(1)
        assert fw.unpack_dual(x).tangent.tolist() == [3, 3]


def test_linear_results_have_constant_tangents():
    with fw.dual_level():
        x = fw.make_dual(torch.zeros(3), torch.tensor([1.0, 2.0, 3.0]))
        assert fw.unpack_dual(x.sum() * 2).tangent.item() == 12


def test_levels():
    with pytest.raises(RuntimeError, match="no level exists"):
        fw.make_dual(torch.ones(1), torch.ones(1))
    with fw.dual_level(), pytest.raises(RuntimeError, match="Nested"):
        fw.enter_dual_level()
    with pytest.raises(RuntimeError, match="not the last one"):
        fw.exit_dual_level()
    with fw.dual_level():
        x = fw.make_dual(torch.ones(1), torch.ones(1))
    assert fw.unpack_dual(x).tangent is None


def test_gradients_of_many_rows():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    unused = torch.ones(2, requires_grad=True)
    rows, none = torch.autograd.grad(
        x**2, (x, unused), torch.eye(3), is_grads_batched=True, allow_unused=True
    )
    assert torch.equal(rows, torch.diag(2 * x.detach())) and none is None
    assert not rows.requires_grad


def test_a_tangent_goes_on_to_what_the_tensors_were_computed_from():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    with fw.dual_level():
        value, tangent = fw.unpack_dual((fw.make_dual(x, torch.tensor([1.0, 3.0])) ** 3).sum())
        assert torch.autograd.grad(tangent, x)[0].tolist() == [6.0, 36.0]
        assert value.requires_grad
        value, tangent = fw.unpack_dual(fw.make_dual(torch.ones(2), torch.ones(2)) * w)
        assert torch.autograd.grad(tangent.sum(), w)[0].tolist() == [1.0, 1.0]
        assert value.requires_grad
        value, tangent = fw.unpack_dual(fw.make_dual(torch.ones(2), torch.ones(2)).exp())
        assert not value.requires_grad
        assert not tangent.requires_grad


def test_a_dual_tensor_prints_its_tangent():
    with fw.dual_level():
        dual = fw.make_dual(torch.ones(2), torch.tensor([1.0, 2.0]))
        assert repr(dual) == "tensor([1., 1.], tangent=tensor([1., 2.]))"
        assert repr(dual.sum()) == "tensor(2., tangent=3.0)"
        assert repr(dual.detach()) == "tensor([1., 1.])"
        dual *= 2
        assert repr(dual) == "tensor([2., 2.], tangent=tensor([2., 4.]))"


def test_hooks_do_not_run():
    seen = []
    with fw.dual_level():
        y = fw.make_dual(torch.ones(2), torch.ones(2)) * 2
        y.register_hook(seen.append)
        assert fw.unpack_dual(y.logsumexp(0)).tangent.item() == 2
    assert not seen


def test_the_tangent_of_a_long_chain_takes_time_in_proportion_to_it():
    visited = []
    with fw.dual_level():
        x = fw.make_dual(torch.ones(3), torch.ones(3))
        for _ in range(40):
            x = x.log_softmax(0)  # takes two backward passes of its own
        node = type(x.grad_fn)
        with pytest.MonkeyPatch.context() as patch:
            backward = node.backward
            patch.setattr(node, "backward", lambda *a: visited.append(0) or backward(*a), False)
            fw.unpack_dual(x)
    assert len(visited) == 40


def test_a_refused_derivative_is_refused_in_forward_mode():
    with fw.dual_level(), pytest.raises(NotImplementedError, match="unique"):
        x = fw.make_dual(torch.ones(3), torch.ones(3))
        fw.unpack_dual(x.unique(dim=0))


def test_tangents_of_sparse_and_nested_tensors_are_such_tensors():
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    _, found = torch.func.jvp(lambda x: (x * x).to_sparse(), (x,), (torch.ones(2, 2),))
    assert found.is_sparse and found.to_dense().tolist() == [[0, 4], [6, 0]]
    sparse = x.to_sparse()
    _, found = torch.func.jvp(lambda s: s.to_dense() @ x, (sparse,), (sparse,))
    assert found.tolist() == (x @ x).tolist()
    _, found = torch.func.jvp(
        lambda x: torch.nested.as_nested_tensor([x, 2 * x[:1]]), (x,), (torch.ones(2, 2),)
    )
    assert [t.tolist() for t in found.unbind()] == [[[1, 1], [1, 1]], [[2, 2]]]


def test_a_dual_tensor_of_a_subclass_has_tangents_of_its_class():
    class Marked(torch.Tensor):
        pass

    x = torch.ones(2)
    with fw.dual_level():
        found = fw.unpack_dual(fw.make_dual(x.as_subclass(Marked), x) * 3)
        assert type(found.primal) is type(found.tangent) is Marked
        assert found.tangent.tolist() == [3, 3]
    assert type(torch.func.jvp(lambda x: x * 3, (x,), (x.as_subclass(Marked),))[1]) is torch.Tensor


def test_integers_have_a_tangent_of_zeros():
    _, (found, rest) = torch.func.jvp(lambda x: x.max(0), (torch.ones(2),), (torch.ones(2),))
    assert found.item() == 1 and rest.item() == 0 and rest.dtype is torch.int64
