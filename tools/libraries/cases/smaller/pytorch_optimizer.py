"""Optimizers of the package (a third of them), schedulers and losses on small networks."""

requires = ["pytorch-optimizer"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import warnings

    import torch
    from pytorch_optimizer import (
        SAM,
        CosineAnnealingWarmupRestarts,
        FocalLoss,
        Lookahead,
        create_optimizer,
        get_optimizer_parameters,
        load_optimizer,
    )
    from torch import nn

    warnings.simplefilter("ignore")
    x, y = torch.randn(16, 4), torch.randn(16, 1)

    def make():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 1))

    results = {}
    names = """
        adabelief adabound adamp adan adai adapnm diffgrad lamb lars lion madgrad nero
        novograd pnm qhadam radam ranger ranger21 sgdp shampoo sophiah swats tiger yogi
        adafactor came prodigy adopt schedulefreeadamw muon grams mars
    """
    for name in names.split():
        net = make()
        options = {"num_iterations": 10} if name == "ranger21" else {}
        if name == "muon":
            options["params"] = [
                {"params": [p for p in net.parameters() if p.ndim > 1], "use_muon": True},
                {"params": [p for p in net.parameters() if p.ndim < 2], "use_muon": False},
            ]
        optimizer = load_optimizer(name)(
            options.pop("params", net.parameters()), lr=1e-2, **options
        )
        if hasattr(optimizer, "train"):
            optimizer.train()
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = (net(x) - y).square().mean()
            loss.backward(create_graph=name == "sophiah")
            optimizer.step()
            losses.append(loss.item())
        results[name] = [losses, net[0].weight]

    net = make()
    optimizer = SAM(net.parameters(), load_optimizer("adamp"), lr=0.01)
    for _ in range(3):
        (net(x) - y).square().mean().backward()
        optimizer.first_step(zero_grad=True)
        (net(x) - y).square().mean().backward()
        optimizer.second_step(zero_grad=True)
    results["sam"] = net[0].weight
    net = make()
    optimizer = Lookahead(
        load_optimizer("radam")(get_optimizer_parameters(net, 0.1, ["bias"]), lr=0.01), k=2
    )
    schedule = CosineAnnealingWarmupRestarts(
        optimizer, first_cycle_steps=6, max_lr=0.1, min_lr=0.01, warmup_steps=2
    )
    rates = []
    for _ in range(6):
        optimizer.zero_grad()
        (net(x) - y).square().mean().backward()
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    results["schedule"] = [rates, net[0].weight]
    created = create_optimizer(net, "adamp", lr=0.01, weight_decay=0.1, use_lookahead=False)
    results["groups"] = [len(g["params"]) for g in created.param_groups]
    results["focal"] = FocalLoss()(torch.sigmoid(x), (x > 0).float())
    return results


tolerance = 1e-3  # Shampoo and Muon take roots of matrices by iterations
