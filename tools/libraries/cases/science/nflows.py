"""Normalizing flows (RealNVP, MAF, neural splines) are trained on two moons and sampled."""

requires = ["nflows", "scikit-learn"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from nflows.distributions.normal import ConditionalDiagonalNormal, StandardNormal
    from nflows.flows import MaskedAutoregressiveFlow, SimpleRealNVP
    from nflows.flows.base import Flow
    from nflows.nn.nets import ResidualNet
    from nflows.transforms import (
        ActNorm,
        BatchNorm,
        CompositeTransform,
        LULinear,
        MaskedAffineAutoregressiveTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        PiecewiseRationalQuadraticCouplingTransform,
        RandomPermutation,
        ReversePermutation,
        SVDLinear,
    )
    from nflows.utils.torchutils import create_alternating_binary_mask
    from sklearn.datasets import make_moons

    points, labels = make_moons(128, noise=0.1, random_state=0)
    x = torch.tensor(points, dtype=torch.float32)
    context = torch.tensor(labels, dtype=torch.float32)[:, None]

    def coupling(i):
        return PiecewiseRationalQuadraticCouplingTransform(
            create_alternating_binary_mask(2, even=i % 2 == 0),
            lambda a, b: ResidualNet(a, b, hidden_features=16, num_blocks=1),
            tails="linear",
            tail_bound=3.0,
            num_bins=6,
        )

    spline = CompositeTransform(
        [
            ActNorm(2),
            coupling(0),
            LULinear(2),
            coupling(1),
            SVDLinear(2, num_householder=2),
            BatchNorm(2),
        ]
    )
    auto = CompositeTransform(
        [
            ReversePermutation(2),
            MaskedAffineAutoregressiveTransform(2, 16, context_features=1, num_blocks=1),
            RandomPermutation(2),
            MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                2, 16, context_features=1, num_bins=4, tails="linear", tail_bound=3.0, num_blocks=1
            ),
        ]
    )
    flows = {
        "realnvp": SimpleRealNVP(2, 16, num_layers=2, num_blocks_per_layer=1),
        "maf": MaskedAutoregressiveFlow(
            2, 16, num_layers=2, num_blocks_per_layer=1, batch_norm_between_layers=True
        ),
        "spline": Flow(spline, StandardNormal([2])),
        "conditional": Flow(
            auto, ConditionalDiagonalNormal([2], context_encoder=torch.nn.Linear(1, 4))
        ),
    }
    results = {}
    for name, flow in flows.items():
        given = {"context": context} if name == "conditional" else {}
        # A bias before a batch norm has the gradient 0 up to rounding; Adam would step by that.
        optimizer = torch.optim.SGD(flow.parameters(), lr=5e-3, momentum=0.9)
        losses = []
        for _ in range(8):
            optimizer.zero_grad()
            loss = -flow.log_prob(x, **given).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        flow.eval()
        with torch.no_grad():
            known = {"context": context[:2]} if given else {}
            samples = flow.sample(5, **known)
            noise = flow.transform_to_noise(x[:10], **({"context": context[:10]} if given else {}))
        results[name] = [losses, samples, noise]
    return results


# Splines are inverted by roots of quadratic equations whose terms cancel.
tolerance = 1e-3
