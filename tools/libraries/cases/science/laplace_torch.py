"""Laplace approximations of trained networks, by several Hessians, with tuned priors."""

requires = ["laplace-torch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from laplace import Laplace
    from laplace.curvature import AsdlGGN, BackPackGGN, CurvlinopsEF, CurvlinopsGGN
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    x = torch.linspace(-2, 2, 48).unsqueeze(-1)
    y = torch.sin(2 * x) + 0.1 * torch.randn(48, 1)
    labels = (y[:, 0] > 0).long()
    results = {}
    for task, target, size in (("regression", y, 1), ("classification", labels, 2)):
        net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, size))
        loss_of = nn.MSELoss() if task == "regression" else nn.CrossEntropyLoss()
        loader = DataLoader(TensorDataset(x, target), batch_size=16)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        losses = []
        for _ in range(8):
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = loss_of(net(inputs), targets)
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        results[f"{task} losses"] = losses
        for subset, structure, backend in (
            ("all", "full", CurvlinopsGGN),
            ("all", "diag", CurvlinopsEF),
            ("all", "kron", CurvlinopsGGN),
            ("last_layer", "full", AsdlGGN),
            ("last_layer", "kron", CurvlinopsGGN),
            ("all", "diag", BackPackGGN),
        ):
            found = Laplace(
                net, task, subset_of_weights=subset, hessian_structure=structure, backend=backend
            )
            found.fit(loader)
            found.optimize_prior_precision(method="marglik", n_steps=5)
            key = f"{task} {subset} {structure} {backend.__name__}"
            results[key] = [found.log_marginal_likelihood(), found.prior_precision]
            prediction = (
                found(x[::8], link_approx="probit") if task == "classification" else found(x[::8])
            )
            results[key].append(prediction)
    return results


tolerance = 2e-3
