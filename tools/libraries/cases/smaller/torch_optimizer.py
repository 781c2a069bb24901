"""Every optimizer of the package takes steps on one small network."""

requires = ["torch-optimizer"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import inspect
    import warnings

    import torch
    import torch_optimizer
    from torch import nn

    warnings.simplefilter("ignore")
    x, y = torch.randn(16, 4), torch.randn(16, 1)
    results = {}
    kinds = {
        name: kind
        for name, kind in vars(torch_optimizer).items()
        if inspect.isclass(kind)
        and issubclass(kind, torch.optim.Optimizer)
        and kind is not torch.optim.Optimizer
    }
    for name, kind in sorted(kinds.items()):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        if name in ("Lookahead",):
            optimizer = kind(torch_optimizer.Yogi(net.parameters(), lr=0.01), k=2)
        else:
            options = {} if name in ("Adafactor",) else {"lr": 0.01}
            optimizer = kind(net.parameters(), **options)
        losses = []
        for _ in range(6):
            optimizer.zero_grad()
            loss = (net(x) - y).square().mean()
            loss.backward(create_graph=name in ("Adahessian",))
            optimizer.step()
            losses.append(loss.item())
        results[name] = [losses, net[0].weight]
    return results
