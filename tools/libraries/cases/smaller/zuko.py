"""Flows (NSF, MAF, coupling, continuous, mixtures …) are trained with a context."""

requires = ["zuko"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    import zuko

    x, context = torch.randn(64, 3) * torch.tensor([1.0, 0.5, 2.0]), torch.randn(64, 2)
    flows = {
        "nsf": zuko.flows.NSF(3, 2, transforms=2, hidden_features=(16, 16)),
        "maf": zuko.flows.MAF(3, 2, transforms=2, hidden_features=(16,), randperm=True),
        "nice": zuko.flows.NICE(3, 2, transforms=2, hidden_features=(16,)),
        "sospf": zuko.flows.SOSPF(
            3, 2, degree=2, polynomials=2, transforms=1, hidden_features=(12,)
        ),
        "bpf": zuko.flows.BPF(3, 2, degree=6, transforms=1, hidden_features=(12,)),
        "naf": zuko.flows.NAF(
            3, 2, transforms=1, signal=4, hidden_features=(12,), network={"hidden_features": (8,)}
        ),
        "gf": zuko.flows.GF(3, 2, components=3, transforms=1, hidden_features=(12,)),
        "mixture": zuko.flows.GMM(3, 2, components=3, hidden_features=(12,)),
        "continuous": zuko.flows.CNF(3, 2, hidden_features=(8,)),
    }
    results = {}
    for name, flow in flows.items():
        optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
        losses = []
        for _ in range(2 if name == "continuous" else 5):
            optimizer.zero_grad()
            loss = -flow(context).log_prob(x).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name] = [losses, flow(context[:4]).log_prob(x[:4])]
        if name not in (
            "naf",
            "sospf",
            "bpf",
        ):  # these are inverted by bisection, to 1e-6 of an interval
            with torch.no_grad():
                results[name].append(flow(context[0]).sample((3,)))
    d = zuko.distributions
    box = d.BoxUniform(torch.zeros(2), torch.ones(2))
    results["box"] = [box.log_prob(torch.tensor([0.2, 0.3])), box.sample((2,))]
    results["other"] = [
        d.GeneralizedNormal(torch.tensor(1.5)).log_prob(torch.tensor(0.3)),
        d.DiagNormal(torch.zeros(3), torch.ones(3)).entropy(),
        d.Sort(torch.distributions.Normal(torch.zeros(()), 1.0), n=2).log_prob(
            torch.tensor([0.1, 0.5])
        ),
        d.Truncated(torch.distributions.Normal(0.0, 1.0), torch.tensor(1.0)).sample((3,)),
    ]
    transform = zuko.transforms.MonotonicRQSTransform(
        torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 4)
    )
    y, ladj = transform.call_and_ladj(torch.tensor([0.1, -0.4, 7.0]))
    results["spline"] = [y, ladj, transform.inv(y)]
    return results


tolerance = 1e-3  # splines and the solver of the continuous flow subtract close numbers
