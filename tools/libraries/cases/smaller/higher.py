"""MAML: the inner loop's model and optimizer are functions of their parameters."""

requires = ["higher"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import higher
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
    meta = torch.optim.Adam(net.parameters(), lr=1e-2)
    results = {"losses": []}
    for _ in range(5):
        meta.zero_grad()
        total = 0.0
        for _ in range(2):
            phase = 3 * torch.rand(1)
            x, z = torch.randn(8, 1), torch.randn(8, 1)
            inner = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
            with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (
                functional,
                adapted,
            ):
                for _ in range(3):
                    adapted.step((functional(x) - torch.sin(x + phase)).square().mean())
                loss = (functional(z) - torch.sin(z + phase)).square().mean()
                loss.backward()
                total += loss.item()
        meta.step()
        results["losses"].append(total)
    results["weights"] = list(net.parameters())

    rate = torch.tensor(0.05, requires_grad=True)
    for kind in (torch.optim.Adam, torch.optim.RMSprop, torch.optim.Adagrad):
        inner = kind(net.parameters(), lr=0.05)
        with higher.innerloop_ctx(net, inner, override={"lr": [rate]}, track_higher_grads=True) as (
            functional,
            adapted,
        ):
            for _ in range(2):
                adapted.step((functional(x) - 1).square().mean())
            (slope,) = torch.autograd.grad((functional(z) - 1).square().mean(), rate)
        results[kind.__name__] = slope
    return results
