"""An exact GP regression, a sparse variational GP, a multitask GP and kernels, with predictions."""

requires = ["gpytorch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import gpytorch
    import torch
    from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal
    from gpytorch.kernels import (
        LinearKernel,
        MaternKernel,
        MultitaskKernel,
        PeriodicKernel,
        RBFKernel,
        ScaleKernel,
    )

    class Exact(gpytorch.models.ExactGP):
        def __init__(self, x, y, likelihood, kernel):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = kernel

        def forward(self, x):
            return MultivariateNormal(self.mean_module(x), self.covar_module(x))

    class Multitask(Exact):
        def __init__(self, x, y, likelihood, kernel):
            super().__init__(x, y, likelihood, kernel)
            self.mean_module = gpytorch.means.MultitaskMean(
                gpytorch.means.ConstantMean(), num_tasks=2
            )

        def forward(self, x):
            return MultitaskMultivariateNormal(self.mean_module(x), self.covar_module(x))

    class Sparse(gpytorch.models.ApproximateGP):
        def __init__(self, points):
            distribution = gpytorch.variational.CholeskyVariationalDistribution(points.shape[0])
            strategy = gpytorch.variational.VariationalStrategy(self, points, distribution)
            super().__init__(strategy)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = ScaleKernel(RBFKernel())

        def forward(self, x):
            return MultivariateNormal(self.mean_module(x), self.covar_module(x))

    def fit(model, likelihood, x, y, steps):
        model.train(), likelihood.train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = -objective(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval(), likelihood.eval()
        return losses

    results = {}
    x = torch.linspace(0, 1, 40)
    y = torch.sin(6 * x) + 0.1 * torch.randn(40)
    test = torch.linspace(-0.2, 1.2, 21)
    for name, kernel in {
        "rbf": ScaleKernel(RBFKernel()),
        "matern": ScaleKernel(MaternKernel(nu=1.5)),
        "sum": ScaleKernel(RBFKernel()) + LinearKernel(),
        "periodic": ScaleKernel(PeriodicKernel() * RBFKernel()),
    }.items():
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        model = Exact(x, y, likelihood, kernel)
        losses = fit(model, likelihood, x, y, 15)
        with torch.no_grad(), gpytorch.settings.fast_pred_var():
            predicted = likelihood(model(test))
        results[name] = [losses, predicted.mean, predicted.variance, *predicted.confidence_region()]

    likelihood = gpytorch.likelihoods.MultitaskGaussianLikelihood(num_tasks=2)
    both = torch.stack([y, torch.cos(6 * x)], -1)
    model = Multitask(x, both, likelihood, MultitaskKernel(RBFKernel(), num_tasks=2, rank=1))
    losses = fit(model, likelihood, x, both, 5)
    with torch.no_grad():
        predicted = likelihood(model(test))
    results["multitask"] = [losses, predicted.mean, predicted.variance]

    x, test, labels = x.double(), test.double(), (y > 0).double()
    model, likelihood = (
        Sparse(x[::5].unsqueeze(-1).clone()).double(),
        gpytorch.likelihoods.BernoulliLikelihood(),
    )
    objective = gpytorch.mlls.VariationalELBO(likelihood, model, num_data=40)
    optimizer = torch.optim.Adam([*model.parameters(), *likelihood.parameters()], lr=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = -objective(model(x.unsqueeze(-1)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        latent = model(test.unsqueeze(-1))
        results["sparse"] = [losses, latent.mean, latent.variance, likelihood(latent).probs]
        results["samples"] = latent.rsample(torch.Size([3]))
    results["state"] = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return results
