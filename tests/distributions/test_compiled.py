"""Distributions inside ``torch.compile``: the same numbers as outside it, in one program."""

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.compiler.calls.compiled import Compiled
from rushlight.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    Independent,
    Normal,
    kl_divergence,
)
from tests.distributions.cases_univariate import CASES as UNIVARIATE
from tests.distributions.test_distributions import CASES


def _univariate(name, parameters):
    def make(t, f):
        given = {k: f(v) if isinstance(v, list) else v for k, v in parameters.items()}
        return getattr(t.distributions, name)(**given)

    return make


ALL = {
    **CASES,
    **{
        f"{name}-{i}": (_univariate(name, parameters), values)
        for i, (name, parameters, values, _) in enumerate(UNIVARIATE)
    },
}
QUESTIONS = {
    "log_prob": lambda d, x: d.log_prob(x),
    "sample": lambda d, x: d.sample((5,)),
    "rsample": lambda d, x: d.rsample((5,)),
    "entropy": lambda d, x: d.entropy(),
    "mean": lambda d, x: d.mean,
}
#: Those whose Python looks at values: a number of trials.
EAGER = {("Binomial", "entropy")}


def asked(name, question):
    """(a function of x and the parameters, these arguments)."""
    make, values = ALL[name]
    given: list = []
    make(torch, lambda v: given.append(v) or torch.tensor(v))

    def ask(x, *parameters):
        left = iter(parameters)
        return QUESTIONS[question](make(torch, lambda v: next(left)), x)

    return ask, [torch.tensor(values), *map(torch.tensor, given)]


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", ALL)
def test_every_distribution(name, question):
    ask, arguments = asked(name, question)
    torch.manual_seed(3)
    try:
        want = ask(*arguments)
    except NotImplementedError:
        pytest.skip("it has none")
    if (name.split("-")[0], question) in EAGER:
        pytest.skip("it needs values")
    compiled = Compiled(ask, fullgraph=True)
    for _ in range(2):
        torch.manual_seed(3)
        np.testing.assert_allclose(compiled(*arguments).numpy(), want.numpy(), 1e-4, 1e-5)
    assert compiled.count == 1


def _autoencoder():
    """A step of a variational autoencoder."""
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(5, 4), nn.Linear(2, 5)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-2)

    def step(x):
        loc, scale = encoder(x).chunk(2, -1)
        q = Independent(Normal(loc, scale.exp()), 1)
        prior = Independent(Normal(torch.zeros_like(loc), torch.ones_like(loc)), 1)
        likelihood = Independent(Bernoulli(logits=decoder(q.rsample())), 1).log_prob(x)
        loss = (kl_divergence(q, prior) - likelihood).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _policy():
    """A step of REINFORCE."""
    torch.manual_seed(0)
    net = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def step(x):
        d = Categorical(logits=net(x))
        action = d.sample()
        reward = (action == 1).float()
        loss = -(d.log_prob(action) * reward).mean() - 0.01 * d.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("make", [_autoencoder, _policy])
def test_whole_steps(make):
    x = torch.arange(40).reshape(8, 5).fmod(3).eq(0).float()
    losses = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, fullgraph=True)):
        step = wrap(make())
        torch.manual_seed(1)
        losses.append([step(x).item() for _ in range(5)])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_distribution_from_outside_and_one_that_comes_back():
    weight = torch.tensor([0.5, 2.0], requires_grad=True)
    outer = Bernoulli(torch.tensor([0.3, 0.6]))

    @torch.compile(fullgraph=True)
    def f(x):
        return Normal(x * weight, 1.0), outer.log_prob((x > 0).float()), outer.logits

    for x in (torch.ones(2), torch.tensor([-2.0, 3.0])):
        d, log_prob, logits = f(x)
        assert torch.equal(d.mean, x * weight) and d.log_prob(x).requires_grad
        assert torch.allclose(log_prob, outer.log_prob((x > 0).float()))
        assert torch.allclose(logits, torch.tensor([0.3, 0.6]).logit())


def test_what_needs_values_runs_eagerly():
    def f(p):
        return Binomial(3, p).entropy()

    p = torch.tensor([0.5, 0.1])
    with pytest.warns(UserWarning):
        found = torch.compile(f)(p)
    assert torch.equal(found, f(p))
