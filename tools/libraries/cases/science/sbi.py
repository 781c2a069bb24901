"""Simulation-based inference: a neural posterior, likelihood and ratio are trained and sampled."""

requires = ["sbi"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import logging
    import warnings

    import torch
    from sbi.inference import NLE, NPE, NRE
    from sbi.utils import BoxUniform

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    prior = BoxUniform(torch.full((2,), -1.0), torch.ones(2))
    theta = prior.sample((120,))
    x = theta**2 + 0.1 * torch.randn(120, 2)
    observed = torch.tensor([[0.25, 0.3]])
    results = {"theta": theta, "x": x}
    for name, method, net in (
        ("npe", NPE, "maf"),
        ("mdn", NPE, "mdn"),
        ("nle", NLE, "maf"),
        ("nre", NRE, "mlp"),
    ):
        torch.manual_seed(3)
        option = {"classifier": net} if method is NRE else {"density_estimator": net}
        inference = method(prior, show_progress_bars=False, **option)
        inference.append_simulations(theta, x)
        estimator = inference.train(
            max_num_epochs=3, training_batch_size=40, show_train_summary=False
        )
        summary = inference.summary
        results[name] = [summary["training_loss"], summary["validation_loss"]]
        if method is NPE:
            posterior = inference.build_posterior(estimator)
            samples = posterior.sample((20,), x=observed[0], show_progress_bars=False)
            results[name] += [samples, posterior.log_prob(samples[:5], x=observed[0])]
        else:
            posterior = inference.build_posterior(
                mcmc_method="slice_np_vectorized",
                mcmc_parameters={"num_chains": 2, "warmup_steps": 3, "thin": 1},
            )
            results[name].append(posterior.potential(theta[:6], x=observed[0]))
    return results


tolerance = 2e-3
