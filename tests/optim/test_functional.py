"""``optim.adam.adam`` and its kin: a step for lists of tensors is a step of the class."""

import importlib
import inspect
from itertools import chain

import pytest

import rushlight as torch
from rushlight.optim.adam import adam
from rushlight.optim.sgd import sgd

try:
    import torch as pytorch
except ImportError:
    pytorch = None

CASES = {
    "adadelta": ["square_avgs acc_deltas", {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.1}],
    "adagrad": ["state_sums", {"lr": 0.1, "lr_decay": 0.1, "eps": 1e-10, "weight_decay": 0.1}],
    "adam": [
        "exp_avgs exp_avg_sqs max_exp_avg_sqs",
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1, "amsgrad": True},
    ],
    "adamw": [
        "exp_avgs exp_avg_sqs max_exp_avg_sqs",
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1, "amsgrad": False},
    ],
    "adamax": [
        "exp_avgs exp_infs",
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1},
    ],
    "asgd": [
        "axs mus etas",
        {"lr": 0.1, "lambd": 1e-2, "t0": 2.0, "alpha": 0.75, "weight_decay": 0.1},
    ],
    "nadam": [
        "exp_avgs exp_avg_sqs mu_products",
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1, "momentum_decay": 0.1},
    ],
    "radam": [
        "exp_avgs exp_avg_sqs",
        {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1},
    ],
    "rmsprop": [
        "square_avgs grad_avgs momentum_buffer_list",
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.1, "momentum": 0.9, "centered": True},
    ],
    "rprop": [
        "prevs step_sizes",
        {"step_size_min": 1e-6, "step_size_max": 50.0, "etaminus": 0.5, "etaplus": 1.2},
    ],
    "sgd": [
        "momentum_buffer_list",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1, "nesterov": False},
    ],
}  # fmt: skip
SINGLE = ("mus", "etas", "mu_products")


def steps(framework, name, maximize):
    """The parameters and the state after four steps."""
    function = getattr(importlib.import_module(f"{framework.__name__}.optim.{name}"), name)
    lists, options = CASES[name]
    params = [framework.linspace(-2, 3, 6).reshape(2, 3).clone(), framework.tensor([0.5 + 1j, -2j])]
    state = {x: [framework.zeros_like(p) for p in params] for x in lists.split()}
    for x in SINGLE:
        if x in state:
            state[x] = [framework.tensor(0.1 if x == "etas" else 1.0) for _ in params]
    if name == "rprop":
        params = params[:1]
        state = {"prevs": [framework.zeros(2, 3)], "step_sizes": [framework.full((2, 3), 0.1)]}
    if name == "sgd":
        state = {"momentum_buffer_list": [None, None]}
    if name == "adamw":
        state["max_exp_avg_sqs"] = []
    if name != "sgd":
        state["state_steps"] = [framework.tensor(0.0) for _ in params]
    for k in range(4):
        grads = [p * (k - 1.5) + 0.1 for p in params]
        function(
            params, grads, *state.values(), foreach=False, maximize=maximize,
            **({} if name == "sgd" else {"has_complex": True}), **options,
        )  # fmt: skip
    return [x.tolist() for x in (*params, *chain(*state.values()))]


@pytest.mark.parity
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_steps_are_pytorch_s(name, maximize):
    found, expected = [
        [torch.tensor(x) for x in steps(framework, name, maximize)]
        for framework in (torch, pytorch)
    ]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_arguments_are_pytorch_s(name):
    found, expected = [
        [
            (x.name, x.kind, x.default)
            for x in inspect.signature(
                getattr(framework.optim._functional, name)
            ).parameters.values()
        ]
        for framework in (torch, pytorch)
    ]
    assert found == expected


def test_steps_are_those_of_the_class():
    p, q = [torch.ones(3, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.Adam([p], 0.1)
    state = [[torch.zeros(3)], [torch.zeros(3)], [], [torch.tensor(0.0)]]
    for _ in range(3):
        p.grad = torch.arange(3.0)
        optimizer.step()
        with torch.no_grad():
            adam(
                [q], [p.grad], *state, amsgrad=False, beta1=0.9, beta2=0.999, lr=0.1,
                weight_decay=0, eps=1e-8, maximize=False,
            )  # fmt: skip
    assert torch.equal(p, q) and q.grad is None and state[3][0] == 3


def plain_sgd(p, lr=0.5, **named):
    sgd(
        [p], [2 * p], [None], weight_decay=0, momentum=0, lr=lr, dampening=0, nesterov=False,
        maximize=False, **named,
    )  # fmt: skip


def test_the_caller_s_mode_decides_about_gradients():
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        plain_sgd(w)
    p = w * 3
    plain_sgd(p, 0.25)
    p.sum().backward()
    assert p.tolist() == [1.5, 1.5] and w.grad.tolist() == [1.5, 1.5]


def test_a_scale_is_refused():
    with pytest.raises(RuntimeError, match="scale grads"):
        plain_sgd(torch.ones(1), grad_scale=torch.ones(1))


def test_optimizers_group_lists_of_tensors():
    x, y = torch.ones(1), torch.ones(1, dtype=torch.float64)
    group = torch.optim.Optimizer._group_tensors_by_device_and_dtype
    found = group([[x, y, x], [1, 2, 3]], with_indices=True)
    assert [(dtype, part[1], at) for (_, dtype), (part, at) in found.items()] == [
        (torch.float32, [1, 3], [0, 2]), (torch.float64, [2], [1])
    ]  # fmt: skip
