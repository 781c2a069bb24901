"""Checks of parameters and values in compiled functions: they raise as eager calls do."""

import itertools

import numpy as np
import pytest

import rushlight as torch
import rushlight.distributions as D

_MAKERS = {
    "Normal": lambda a, b: D.Normal(a, b),
    "Normal of numbers": lambda a, b: D.Normal(0.0, b),
    "Gamma": lambda a, b: D.Gamma(a, b),
    "Beta": lambda a, b: D.Beta(a, b),
    "Uniform": lambda a, b: D.Uniform(a, b),
    "Bernoulli": lambda a, b: D.Bernoulli(b / 4),
    "Poisson": lambda a, b: D.Poisson(b),
    "Categorical": lambda a, b: D.Categorical(torch.stack([a.abs(), b], -1)),
    "Dirichlet": lambda a, b: D.Dirichlet(torch.stack([a, b], -1)),
    "Independent": lambda a, b: D.Independent(D.Laplace(a, b), 1),
    "LowRankMultivariateNormal": lambda a, b: D.LowRankMultivariateNormal(a, b[:, None], b),
    "TransformedDistribution": lambda a, b: D.TransformedDistribution(
        D.Normal(a, b), [D.transforms.ExpTransform()]
    ),
}


def _outcome(f, *args):
    try:
        return f(*args).numpy()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("name", _MAKERS)
def test_invalid_parameters_and_values(name):
    def f(a, b, value):
        return _MAKERS[name](a, b).log_prob(value)

    g = torch.compile(f, fullgraph=True, options={"audit": False})
    wanted = set()
    for numbers in itertools.product((1.0, -1.0), (2.0, -2.0, 6.0), (1.0, -1.0, 0.5)):
        given = [torch.full((2,), x) for x in numbers]
        eager, now = _outcome(f, *given), _outcome(g, *given)
        wanted.add(type(eager))
        assert type(eager) is type(now), (numbers, eager, now)
        if isinstance(eager, str):
            assert eager == now
        else:
            np.testing.assert_allclose(eager, now, rtol=1e-5)
    assert wanted == {str, np.ndarray}


def test_a_failed_check_leaves_state_and_random_numbers_as_an_eager_call_does():
    count = torch.zeros(())

    def f(scale):
        count.add_(1)
        noise = torch.rand(())
        return D.Normal(0.0, scale).sample() + noise

    outcomes = []
    for function in (f, torch.compile(f, options={"audit": False})):
        torch.manual_seed(3)
        count.zero_()
        found = [_outcome(function, torch.tensor(s)) for s in (1.0, -1.0, 2.0)]
        outcomes.append((found, count.item(), torch.rand(()).item()))
    assert outcomes[0] == outcomes[1]


def test_checks_that_are_turned_off():
    f = torch.compile(lambda s, check: D.Normal(0.0, s, validate_args=check).scale, fullgraph=True)
    assert f(torch.tensor(-1.0), False).item() == -1
    with pytest.raises(ValueError, match="scale"):
        f(torch.tensor(-1.0), True)


def test_checks_in_vmap_run_on_the_whole_batch():
    f = torch.func.vmap(lambda m, s: D.Normal(m, s).log_prob(m))
    zeros = torch.zeros(3)
    np.testing.assert_allclose(f(zeros, zeros + 1), D.Normal(zeros, zeros + 1).log_prob(zeros))
