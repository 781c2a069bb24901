"""A Bayesian network learns iris, with the divergence of its weights in the loss."""

requires = ["torchbnn", "scikit-learn"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    import torchbnn as bnn
    from sklearn.datasets import load_iris
    from torch import nn

    data = load_iris()
    x, y = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    net = nn.Sequential(
        bnn.BayesLinear(prior_mu=0, prior_sigma=0.1, in_features=4, out_features=20),
        nn.ReLU(),
        bnn.BayesLinear(prior_mu=0, prior_sigma=0.1, in_features=20, out_features=3),
    )
    divergence = bnn.BKLLoss(reduction="mean", last_layer_only=False)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y) + 0.01 * divergence(net)[0]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results = {
        "losses": losses,
        "predicted": torch.stack([net(x[::25]).softmax(-1) for _ in range(5)]),
    }
    picture = nn.Sequential(
        bnn.BayesConv2d(
            prior_mu=0, prior_sigma=0.1, in_channels=1, out_channels=3, kernel_size=3, bias=False
        ),
        bnn.BayesBatchNorm2d(prior_mu=0, prior_sigma=0.1, num_features=3),
    )
    found = picture(torch.randn(4, 1, 6, 6))
    (found**3 + found.sin()).sum().backward()
    results["picture"] = [found, *[p.grad for p in picture.parameters()]]
    bnn.utils.freeze(net)
    results["frozen"] = [net(x[:3]), net(x[:3])]
    return results
