"""Training with differential privacy: gradients of single samples, clipping and noise."""

requires = ["opacus"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from opacus import GradSampleModule, PrivacyEngine
    from opacus.layers import DPLSTM, DPMultiheadAttention
    from opacus.validators import ModuleValidator
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    results = {}
    x, y = torch.randn(32, 1, 8, 8), torch.randint(0, 3, (32,))
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 3),
    )
    results["errors"] = [type(e).__name__ for e in ModuleValidator.validate(net, strict=False)]
    net = ModuleValidator.fix(net)
    results["fixed"] = str(net)

    engine = PrivacyEngine(accountant="rdp")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    model, optimizer, loader = engine.make_private(
        module=net,
        optimizer=optimizer,
        data_loader=DataLoader(TensorDataset(x, y), batch_size=8),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        noise_generator=torch.Generator().manual_seed(3),
    )
    losses = []
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results["private"] = [
        losses,
        engine.get_epsilon(delta=1e-3),
        [p.detach() for p in model.parameters()],
    ]

    layers = {
        "linear": (nn.Linear(4, 3), torch.randn(5, 2, 4)),
        "conv": (nn.Conv1d(2, 4, 3, groups=2, dilation=2), torch.randn(5, 2, 9)),
        "group norm": (nn.GroupNorm(2, 4), torch.randn(5, 4, 3)),
        "layer norm": (nn.LayerNorm(4), torch.randn(5, 3, 4)),
        "embedding": (nn.Embedding(7, 3), torch.randint(0, 7, (5, 4))),
        "lstm": (DPLSTM(3, 4, batch_first=True), torch.randn(5, 6, 3)),
    }
    for name, (layer, inputs) in layers.items():
        sampled = GradSampleModule(layer)
        out = sampled(inputs)
        (out[0] if isinstance(out, tuple) else out).square().sum().backward()
        results[name] = [p.grad_sample for p in sampled.parameters()]
    sampled = GradSampleModule(
        nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), force_functorch=True
    )
    sampled(torch.randn(5, 4)).square().sum().backward()
    results["functorch"] = [p.grad_sample for p in sampled.parameters()]
    attention = DPMultiheadAttention(4, 2)
    sampled = GradSampleModule(attention, batch_first=False)
    sequence = torch.randn(3, 5, 4)
    sampled(sequence, sequence, sequence)[0].sum().backward()
    results["attention"] = [p.grad_sample.shape for p in sampled.parameters()]
    return results
