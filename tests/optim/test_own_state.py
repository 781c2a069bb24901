"""State that a program makes for an optimizer, such as the shared one of A3C."""

import pytest

import rushlight as torch

MOMENTS = {"Adam": ("exp_avg", "exp_avg_sq"), "Adamax": ("exp_avg", "exp_inf"), "Adagrad": ("sum",)}


def trained(name, step=None, shared=False, compiled=False):
    """The parameters and the optimizer after three steps. ``step`` makes the count, if it is given."""
    params = [torch.nn.Parameter(torch.tensor([1.0, -2.0])), torch.nn.Parameter(torch.ones(()))]
    optimizer = getattr(torch.optim, name)(params, lr=0.1)
    for p in params if step else []:
        state = optimizer.state[p]
        state["step"] = step()
        state.update({key: torch.zeros_like(p) for key in MOMENTS[name]})
        if shared:
            for tensor in state.values():
                tensor.share_memory_()

    def advance():
        optimizer.zero_grad()
        sum((p**2).sum() for p in params).backward()
        optimizer.step()

    call = torch.compile(advance) if compiled else advance
    for _ in range(3):
        call()
    return [p.tolist() for p in params], optimizer


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", [(1,), (1, 1)])
@pytest.mark.parametrize("name", MOMENTS)
def test_a_count_of_one_element(name, shape, compiled):
    found, optimizer = trained(name, lambda: torch.zeros(shape), compiled=compiled)
    expected, _ = trained(name)
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    assert all(s["step"].shape == shape and s["step"].item() == 3 for s in optimizer.state.values())


@pytest.mark.parametrize("step", [lambda: 0, lambda: 0.0, lambda: torch.zeros(2)])
def test_a_count_that_is_no_tensor_of_one_element(step):
    with pytest.raises(RuntimeError, match="singleton tensor"):
        trained("Adam", step)


def test_state_in_shared_memory_stays_there():
    found, optimizer = trained("Adam", lambda: torch.zeros(1), shared=True)
    assert found[0] == pytest.approx(trained("Adam")[0][0], rel=1e-6)
    tensors = [t for state in optimizer.state.values() for t in state.values()]
    assert all(t.is_shared() for t in tensors)
    assert [t.item() for t in tensors if t.shape == (1,)] == [3, 3]


@pytest.mark.parametrize("compiled", [False, True])
def test_rprop_takes_no_step_where_a_gradient_is_nan(compiled):
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Rprop([p])
    factor = torch.tensor([float("nan"), 1.0, -1.0])

    def step():
        optimizer.zero_grad()
        (p * factor).sum().backward()
        optimizer.step()

    call = torch.compile(step) if compiled else step
    for _ in range(2):
        call()
    assert p.tolist() == pytest.approx([1.0, 0.978, 1.022])


def test_a_step_without_state_makes_none():
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=0.1)
    p.sum().backward()
    optimizer.step()
    assert not optimizer.state and not optimizer.state_dict()["state"]
