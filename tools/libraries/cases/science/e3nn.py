"""Equivariant layers, and a message passing net that learns an energy and its forces."""

requires = ["e3nn"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from e3nn import io, nn, o3
    from e3nn.math import soft_one_hot_linspace

    results = {"wigner": [o3.wigner_3j(1, 1, 2), o3.wigner_D(2, *torch.tensor([0.1, 0.2, 0.3]))]}
    positions = torch.randn(8, 3)
    results["harmonics"] = o3.spherical_harmonics(
        [0, 1, 2, 3], positions, normalize=True, normalization="component"
    )
    results["rotation"] = o3.rand_matrix(2)

    hidden = o3.Irreps("4x0e + 2x1o + 1x2e")
    spherical = o3.Irreps.spherical_harmonics(2)

    class Convolution(torch.nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.product = o3.FullyConnectedTensorProduct(
                before, spherical, after, shared_weights=False
            )
            self.radial = nn.FullyConnectedNet(
                [6, 16, self.product.weight_numel], torch.nn.functional.silu
            )

        def forward(self, x, position):
            n = len(position)
            source, target = torch.where(~torch.eye(n, dtype=torch.bool))
            edges = position[source] - position[target]
            length = (
                soft_one_hot_linspace(
                    edges.norm(dim=1), 0.0, 4.0, 6, basis="smooth_finite", cutoff=True
                )
                * 6**0.5
            )
            harmonics = o3.spherical_harmonics(spherical, edges, True, normalization="component")
            messages = self.product(x[source], harmonics, self.radial(length))
            return torch.zeros(n, messages.shape[1]).index_add(0, target, messages) / n**0.5

    gate = nn.Gate("4x0e", [torch.tanh], "3x0e", [torch.sigmoid], "2x1o + 1x2e")
    first, second = Convolution("2x0e", gate.irreps_in), Convolution(gate.irreps_out, "1x0e")
    x = torch.randn(8, 2)
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.01)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        at = positions.clone().requires_grad_()
        energy = second(gate(first(x, at)), at).sum()
        (force,) = torch.autograd.grad(energy, at, create_graph=True)
        loss = (energy - 1).square() + force.square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results["trained"] = [losses, energy, force]
    rotation = o3.rand_matrix()
    turned = second(gate(first(x, positions @ rotation.T)), positions @ rotation.T).sum()
    results["equivariant"] = (
        turned - second(gate(first(x, positions)), positions).sum()
    ).abs().item() < 1e-4

    linear, norm = o3.Linear(hidden, hidden), nn.BatchNorm(hidden)
    features = hidden.randn(10, -1)
    results["linear"] = [
        linear(features),
        norm(linear(features)),
        nn.NormActivation(hidden, torch.sigmoid)(features),
    ]
    results["self"] = o3.TensorSquare(hidden)(features)
    results["tensor"] = io.CartesianTensor("ij=ji").from_cartesian(torch.eye(3))
    results["text"] = [
        str(hidden.sort().irreps),
        str(o3.ReducedTensorProducts("ij=-ji", i="1o").irreps_out),
    ]
    return results
