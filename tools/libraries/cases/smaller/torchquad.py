"""Numerical integration by several rules, with gradients through the integrand's parameters."""

requires = ["torchquad"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from torchquad import (
        VEGAS,
        Boole,
        GaussLegendre,
        MonteCarlo,
        Simpson,
        Trapezoid,
        set_up_backend,
    )

    set_up_backend("torch", data_type="float64", torch_enable_cuda=False)
    torch.manual_seed(0)

    def wave(x):
        return torch.sin(x[:, 0]) * torch.exp(-(x[:, 1] ** 2))

    domain = [[0.0, 1.0], [-1.0, 1.0]]
    results = {}
    for rule in (Trapezoid, Simpson, Boole, GaussLegendre):
        results[rule.__name__] = rule().integrate(
            wave, dim=2, N=961, integration_domain=domain, backend="torch"
        )
    results["MonteCarlo"] = MonteCarlo().integrate(
        wave, dim=2, N=500, integration_domain=domain, seed=3, backend="torch"
    )
    results["VEGAS"] = VEGAS().integrate(
        wave, dim=2, N=1500, integration_domain=domain, seed=3, backend="torch"
    )
    for rule in (Simpson, MonteCarlo):
        a = torch.tensor(2.0, requires_grad=True)
        options = {"seed": 5} if rule is MonteCarlo else {}
        found = rule().integrate(
            lambda x, a=a: torch.cos(a * x[:, 0]),
            dim=1,
            N=101,
            integration_domain=[[0.0, 2.0]],
            backend="torch",
            **options,
        )
        found.backward()
        results[f"{rule.__name__} slope"] = [found, a.grad]
    integrate = Simpson().get_jit_compiled_integrate(
        dim=1, N=101, integration_domain=torch.tensor([[0.0, 1.0]])
    )
    results["compiled"] = integrate(lambda x: x[:, 0] ** 3, torch.tensor([[0.0, 2.0]]))
    torch.set_default_dtype(torch.float32)
    return results
