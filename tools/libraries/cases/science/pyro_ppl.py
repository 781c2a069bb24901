"""Stochastic variational inference, NUTS, Predictive, enumeration and a guide made by itself."""

requires = ["pyro-ppl"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer import (
        MCMC,
        NUTS,
        SVI,
        Predictive,
        Trace_ELBO,
        TraceEnum_ELBO,
        config_enumerate,
        infer_discrete,
    )
    from pyro.infer.autoguide import (
        AutoDiagonalNormal,
        AutoLowRankMultivariateNormal,
        AutoMultivariateNormal,
    )
    from pyro.nn import PyroModule, PyroSample

    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    x = torch.randn(60, 2)
    y = x @ torch.tensor([1.0, -2.0]) + 0.5 + 0.1 * torch.randn(60)

    class Regression(PyroModule):
        def __init__(self):
            super().__init__()
            self.linear = PyroModule[torch.nn.Linear](2, 1)
            self.linear.weight = PyroSample(dist.Normal(0.0, 1.0).expand([1, 2]).to_event(2))
            self.linear.bias = PyroSample(dist.Normal(0.0, 1.0).expand([1]).to_event(1))

        def forward(self, x, y=None):
            sigma = pyro.sample("sigma", dist.LogNormal(0.0, 1.0))
            mean = pyro.deterministic("mean", self.linear(x).squeeze(-1))
            with pyro.plate("data", x.shape[0]):
                pyro.sample("y", dist.Normal(mean, sigma), obs=y)
            return mean

    results = {}
    for kind in (AutoDiagonalNormal, AutoMultivariateNormal, AutoLowRankMultivariateNormal):
        pyro.clear_param_store()
        model = Regression()
        guide = kind(model)
        svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.03}), Trace_ELBO())
        losses = [svi.step(x, y) for _ in range(40)]
        samples = Predictive(
            model, guide=guide, num_samples=10, return_sites=("y", "sigma", "linear.weight")
        )(x[:5])
        results[kind.__name__] = [losses[::5], guide.median(x, y), samples]

    def schools(sigma, y=None):
        mu = pyro.sample("mu", dist.Normal(0, 5))
        tau = pyro.sample("tau", dist.HalfCauchy(5))
        with pyro.plate("schools", len(sigma)):
            theta = pyro.sample("theta", dist.Normal(0, 1))
            pyro.sample("y", dist.Normal(mu + tau * theta, sigma), obs=y)

    sigma = torch.tensor([15.0, 10.0, 16.0, 11.0])
    effects = torch.tensor([28.0, 8.0, -3.0, 7.0])
    pyro.set_rng_seed(1)
    chain = MCMC(
        NUTS(schools, max_tree_depth=4), num_samples=8, warmup_steps=6, disable_progbar=True
    )
    chain.run(sigma, effects)
    results["chain"] = chain.get_samples()["mu"][:3]
    results["predicted"] = Predictive(schools, chain.get_samples())(sigma)["y"].shape

    @config_enumerate
    def mixture(data):
        weights = pyro.param(
            "weights", torch.tensor([0.4, 0.6]), constraint=dist.constraints.simplex
        )
        places = pyro.param("places", torch.tensor([-1.0, 1.0]))
        with pyro.plate("data", len(data)):
            which = pyro.sample("which", dist.Categorical(weights))
            pyro.sample("value", dist.Normal(places[which], 0.5), obs=data)

    pyro.clear_param_store()
    svi = SVI(
        mixture,
        lambda data: None,
        pyro.optim.Adam({"lr": 0.05}),
        TraceEnum_ELBO(max_plate_nesting=1),
    )
    data = torch.cat([torch.randn(20) * 0.5 - 2, torch.randn(30) * 0.5 + 2])
    results["mixture"] = [
        [svi.step(data) for _ in range(20)],
        pyro.param("weights"),
        pyro.param("places"),
    ]
    trace = pyro.poutine.trace(infer_discrete(mixture, first_available_dim=-2)).get_trace(data)
    results["classes"] = trace.nodes["which"]["value"]
    return results


# The chain of NUTS magnifies the last digits of each leap.
tolerance = 2e-3
