"""Whole trainings, compiled, follow the eager ones: losses, parameters, buffers, optimizer state."""

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from tests.compiler.models import CASES, GPT, ConvNet
from tests.daily import daily


def as_is(f):
    return f


class Counting:
    """``torch.compile`` that remembers what it made."""

    def __init__(self):
        self.made = []

    def __call__(self, f):
        self.made.append(torch.compile(f, fullgraph=True))
        return self.made[-1]

    def count(self):
        return sum(f._compiled.count for f in self.made)


def state(holders):
    """The arrays in Modules and optimizers, by name."""
    found = {}
    for i, holder in enumerate(holders):
        if isinstance(holder, nn.Module):
            found |= {f"{i}.{k}": v.numpy() for k, v in holder.state_dict().items()}
        else:
            for p, values in holder.state_dict()["state"].items():
                for k, v in values.items():
                    found[f"{i}.{p}.{k}"] = np.asarray(v)
    return found


def trained(case, step=as_is, model=as_is):
    torch.manual_seed(5)
    losses, holders = case(step, model)
    return losses, state(holders), torch.rand(2).tolist()


_eager = {}


def eagerly(case):
    if case not in _eager:
        _eager[case] = trained(case)
    return _eager[case]


@pytest.mark.parametrize(
    "case, what",
    daily([(case, what) for case in CASES for what in ("step", "model")], 6, "trainings"),
    ids=lambda x: getattr(x, "__name__", x),
)
def test_a_training_follows_the_eager_one(case, what):
    compiler = Counting()
    losses, held, drawn = trained(case, **{what: compiler})
    want_losses, want_held, want_drawn = eagerly(case)
    np.testing.assert_allclose(losses, want_losses, rtol=2e-5)
    assert held.keys() == want_held.keys()
    for name, want in want_held.items():
        np.testing.assert_allclose(held[name], want, rtol=2e-4, atol=2e-5, err_msg=name)
    assert drawn == want_drawn
    assert compiler.count() == CASES[case][what == "model"]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "build, given",
    [
        (
            lambda: nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2), nn.Softmax(-1)),
            (3, 4),
        ),
        (ConvNet, (2, 1, 10, 10)),
        (lambda: GPT(written_out=False), None),
    ],
)
def test_inference_sees_the_parameters_of_now(build, given, mode):
    torch.manual_seed(0)
    net, other = build().eval(), build().eval()
    fast = torch.compile(net, fullgraph=True)
    x = torch.randint(0, 11, (2, 6)) if given is None else torch.randn(given)
    with mode():
        for k in range(3):
            if k == 1:
                net.load_state_dict(other.state_dict())
            found = fast(x)
            assert (
                not found.requires_grad
                and found.is_inference() == torch.is_inference_mode_enabled()
            )
            np.testing.assert_allclose(found.numpy(), net(x).numpy(), rtol=1e-5, atol=1e-6)
    assert fast._compiled.count == 1
