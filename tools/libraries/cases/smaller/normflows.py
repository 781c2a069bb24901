"""Flows (RealNVP, splines, Glow, planar, residual) are trained by both divergences."""

requires = ["normflows"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import normflows as nf
    import numpy as np
    import torch

    np.random.seed(0)
    results = {}
    moons = nf.distributions.TwoMoons()

    def real():
        flows = []
        for _ in range(3):
            parameters = nf.nets.MLP([1, 16, 16, 2], init_zeros=False)
            flows += [
                nf.flows.AffineCouplingBlock(parameters),
                nf.flows.Permute(2, mode="swap"),
                nf.flows.ActNorm(2),
            ]
        return nf.NormalizingFlow(nf.distributions.base.DiagGaussian(2), flows, moons)

    def spline():
        flows = []
        for _ in range(2):
            flows += [
                nf.flows.AutoregressiveRationalQuadraticSpline(2, 1, 16),
                nf.flows.LULinearPermute(2),
            ]
        return nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), flows, moons)

    def planar():
        flows = [nf.flows.Planar((2,)) for _ in range(2)] + [nf.flows.Radial((2,))]
        return nf.NormalizingFlow(nf.distributions.DiagGaussian(2), flows, moons)

    points = moons.sample(64)
    for name, make in {"real": real, "spline": spline, "planar": planar}.items():
        flow = make()
        optimizer = torch.optim.Adam(flow.parameters(), lr=2e-3)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = flow.reverse_kld(32) if name == "planar" else flow.forward_kld(points)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name] = losses
        if name != "planar":
            flow.eval()
            with torch.no_grad():
                results[name] += [*flow.sample(4), flow.log_prob(points[:4])]

    images = torch.rand(4, 2, 4, 4)
    block = nf.flows.GlowBlock(8, 8, split_mode="channel", scale=True)
    squeeze = nf.flows.Squeeze()
    flow = nf.MultiscaleFlow(
        [nf.distributions.GlowBase((8, 2, 2))],
        [[block, squeeze]],
        [],
        transform=nf.transforms.Logit(0.05),
    )
    losses = []
    optimizer = torch.optim.Adamax(flow.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        loss = flow.forward_kld(images)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results["glow"] = losses

    net = nf.nets.LipschitzMLP([2, 8, 2], init_zeros=False, lipschitz_const=0.9)
    residual = nf.flows.Residual(net, reduce_memory=False)
    z, _ = residual(points[:4])
    results["residual"] = [z]
    target = nf.distributions.CircularGaussianMixture()
    results["target"] = [target.log_prob(points[:5]), target.sample(3)]
    return results


tolerance = 1e-3  # splines are inverted by differences of close numbers
