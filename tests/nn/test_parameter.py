"""Parameter and Buffer, as PyTorch's."""

import copy
import pickle

import pytest

import rushlight
from rushlight import nn


def subclass_parameter(torch):
    class Special(torch.Tensor):
        pass

    p = torch.nn.Parameter(torch.Tensor._make_subclass(Special, torch.ones(2)))
    module = torch.nn.Module()
    module.w = p
    return [
        type(p).__name__, isinstance(p, torch.nn.Parameter), p.requires_grad,
        [n for n, _ in module.named_parameters()],
    ]  # fmt: skip


SCRIPTS = {
    "repr": lambda torch: [
        repr(torch.nn.Parameter(torch.ones(2, 2))), str(torch.nn.Parameter(torch.tensor(1.0))),
        repr(torch.nn.Parameter(torch.ones(1), requires_grad=False)),
        repr(torch.nn.Buffer(torch.ones(1))), repr(torch.nn.Parameter()),
        f"{torch.nn.Parameter(torch.tensor(1.5))}",
    ],
    "kinds": lambda torch: [
        [isinstance(v, torch.nn.Parameter), isinstance(v, torch.nn.Buffer),
         isinstance(v, torch.Tensor), v.requires_grad, v.is_leaf]
        for p in [torch.nn.Parameter(torch.ones(2))]
        for v in (
            p, p.data, p.detach(), p * 2, p.clone(), torch.ones(1), torch.nn.Buffer(torch.ones(1)),
            torch.nn.Parameter(p), torch.nn.Parameter(p * 2), torch.nn.Parameter(p, False),
        )
    ],
    "results": lambda torch: [
        type(v).__name__
        for p in [torch.nn.Parameter(torch.ones(2))]
        for v in (p + 1, p[0], p.view(1, 2), torch.exp(p), p.detach(), p.data, p.sum())
    ],
    "integers": lambda torch: torch.nn.Parameter(torch.ones(2, dtype=torch.int64)),
    "integers without gradient": lambda torch: torch.nn.Parameter(
        torch.ones(2, dtype=torch.int64), requires_grad=False
    ),
    "buffer": lambda torch: [
        [b.persistent, b.requires_grad, type(b).__name__]
        for b in (torch.nn.Buffer(torch.ones(1)), torch.nn.Buffer(torch.ones(1), persistent=False),
                  torch.nn.Buffer(torch.ones(1, requires_grad=True)), torch.nn.Buffer())
    ],
    "data": lambda torch: [
        [setattr(p, "data", torch.zeros(3)), p, p.requires_grad, p.is_leaf]
        for p in [torch.nn.Parameter(torch.ones(2))]
    ],
    "of a subclass": subclass_parameter,
    "no tensor": lambda torch: torch.nn.Parameter([1.0]),
    "typename": lambda torch: torch.nn.Parameter(torch.ones(1)).type(),
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_parameters_do_as_pytorchs(parity, name):
    parity(SCRIPTS[name])


def test_a_parameter_shares_the_memory_it_was_made_of():
    data = rushlight.zeros(2)
    p = nn.Parameter(data)
    data.fill_(3.0)
    assert p.tolist() == [3.0, 3.0] and not data.requires_grad


def test_copies_are_parameters_with_memory_of_their_own():
    p = nn.Parameter(rushlight.ones(2))
    p.note = "kept by pickle"
    memo = {}
    pairs = copy.deepcopy([p, p], memo)
    assert pairs[0] is pairs[1] and type(pairs[0]) is nn.Parameter
    loaded = pickle.loads(pickle.dumps(p))
    assert type(loaded) is nn.Parameter and loaded.requires_grad and loaded.note == p.note
    with rushlight.no_grad():
        p.zero_()
    assert pairs[0].tolist() == loaded.tolist() == [1.0, 1.0]


def test_parameters_train():
    w = nn.Parameter(rushlight.tensor([1.0, 2.0]))
    (w**2).sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]
