"""``swap_tensors``: everything moves, and everybody who holds a tensor sees the other one."""

import pytest

import rushlight as torch


def test_tensors_change_places():
    p, q = torch.nn.Parameter(torch.ones(2)), torch.zeros(3)
    q.note = "mine"
    layer = torch.nn.Module()
    layer.p = p
    p.sum().backward()
    torch.utils.swap_tensors(p, q)
    assert layer.p is p and type(p) is torch.Tensor and p.tolist() == [0, 0, 0]
    assert p.note == "mine" and p.grad is None and not hasattr(q, "note")
    assert type(q) is torch.nn.Parameter and q.grad.tolist() == [1, 1]
    (q * 3).sum().backward()
    assert q.grad.tolist() == [4, 4]


def test_a_graph_sends_its_gradient_where_the_elements_went():
    p, q = (torch.tensor([v], requires_grad=True) for v in (2.0, 5.0))
    y = p * 3 + q * 7
    torch.utils.swap_tensors(p, q)
    y.backward()
    assert (p.item(), p.grad.item()) == (5, 7) and (q.item(), q.grad.item()) == (2, 3)


def test_an_optimizer_trains_what_came():
    p, q = (torch.nn.Parameter(torch.full((1,), v)) for v in (1.0, 7.0))
    optimizer = torch.optim.SGD([p], 1.0)
    torch.utils.swap_tensors(p, q)
    p.sum().backward()
    optimizer.step()
    assert p.item() == 6 and q.item() == 1


def test_views_and_other_objects_are_refused():
    x, y = torch.ones(2), torch.zeros(2)
    part = x[:1]
    with pytest.raises(RuntimeError, match="view of t1"):
        torch.utils.swap_tensors(x, y)
    del part
    torch.utils.swap_tensors(x, y)
    torch.utils.swap_tensors(x, x)
    assert x.tolist() == [0, 0]
    with pytest.raises(TypeError, match="t2 is a int"):
        torch.utils.swap_tensors(x, 3)
