"""SchNet and PaiNN learn energies of made-up molecules, with forces by differentiation."""

requires = ["schnetpack"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import schnetpack as spk
    import torch
    from schnetpack import properties

    def molecules(n):
        positions = 1.5 * torch.randn(4 * n, 3)
        left, right = [], []
        for i in range(n):
            for a in range(4):
                for b in range(4):
                    if a != b:
                        left.append(4 * i + a), right.append(4 * i + b)
        return {
            properties.Z: torch.tensor([8, 1, 1, 6] * n),
            properties.R: positions,
            properties.idx_i: torch.tensor(left),
            properties.idx_j: torch.tensor(right),
            properties.offsets: torch.zeros(len(left), 3),
            properties.idx_m: torch.arange(n).repeat_interleave(4),
            properties.n_atoms: torch.full((n,), 4),
            properties.cell: torch.zeros(n, 3, 3),
        }

    results = {}
    batch = molecules(3)
    energy = torch.randn(3)
    for kind in (spk.representation.SchNet, spk.representation.PaiNN):
        torch.manual_seed(2)
        net = spk.model.NeuralNetworkPotential(
            representation=kind(
                n_atom_basis=16, n_interactions=2, radial_basis=spk.nn.GaussianRBF(n_rbf=8, cutoff=5.0),
                cutoff_fn=spk.nn.CosineCutoff(5.0),
            ),
            input_modules=[spk.atomistic.PairwiseDistances()],
            output_modules=[
                spk.atomistic.Atomwise(n_in=16, output_key="energy"),
                spk.atomistic.Forces(energy_key="energy", force_key="forces"),
            ],
        )  # fmt: skip
        optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            found = net({k: v.clone() for k, v in batch.items()})
            loss = (found["energy"] - energy).square().mean() + 0.1 * found["forces"].square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[kind.__name__] = [losses, found["energy"], found["forces"]]
    return results


tolerance = 1e-3
