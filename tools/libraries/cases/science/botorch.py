"""A GP is fitted by L-BFGS-B, and acquisition functions are optimised, alone and in batches."""

requires = ["botorch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from botorch.acquisition import (
        LogExpectedImprovement,
        UpperConfidenceBound,
        qLogExpectedImprovement,
    )
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from botorch.optim import optimize_acqf
    from botorch.sampling import SobolQMCNormalSampler
    from botorch.test_functions import Branin
    from botorch.utils.sampling import draw_sobol_samples
    from botorch.utils.transforms import unnormalize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    function = Branin(negate=True).to(dtype=torch.double)
    unit = torch.tensor([[0.0] * 2, [1.0] * 2], dtype=torch.double)
    x = draw_sobol_samples(unit, n=8, q=1, seed=0).squeeze(1)
    y = function(unnormalize(x, function.bounds)).unsqueeze(-1)
    results = {"points": x, "values": y}

    best = []
    for step in range(3):
        model = SingleTaskGP(x, y, input_transform=Normalize(2), outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        acquisition = LogExpectedImprovement(model, best_f=y.max())
        candidate, value = optimize_acqf(
            acquisition,
            unit,
            q=1,
            num_restarts=3,
            raw_samples=32,
            options={"seed": step, "maxiter": 40},
        )
        results[f"candidate {step}"] = [candidate, value, model.covar_module.lengthscale]
        x = torch.cat([x, candidate])
        y = torch.cat([y, function(unnormalize(candidate, function.bounds)).unsqueeze(-1)])
        best.append(y.max().item())
    results["best"] = best

    posterior = model.posterior(draw_sobol_samples(unit, n=5, q=1, seed=7).squeeze(1))
    results["posterior"] = [posterior.mean, posterior.variance]
    sampler = SobolQMCNormalSampler(torch.Size([64]), seed=3)
    results["samples"] = sampler(posterior).mean(0)
    acquisition = qLogExpectedImprovement(model, best_f=y.max(), sampler=sampler)
    candidates, value = optimize_acqf(
        acquisition, unit, q=2, num_restarts=2, raw_samples=16, options={"seed": 9, "maxiter": 15}
    )
    results["batch"] = value
    bound = UpperConfidenceBound(model, beta=0.2)
    results["upper bound"] = bound(candidates.unsqueeze(1))
    return results


# The optimizer stops where the likelihood hardly changes, so the last digits move the end.
tolerance = 5e-3
