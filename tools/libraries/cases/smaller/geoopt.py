"""Manifolds (Stiefel, Poincaré ball, sphere, SPD …) with Riemannian SGD and Adam on them."""

requires = ["geoopt"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import geoopt
    import torch

    results = {}
    data = torch.randn(30, 4, dtype=torch.float64)
    covariance = data.T @ data / 30
    stiefel = geoopt.Stiefel()
    for kind, options in (
        (geoopt.optim.RiemannianSGD, {"lr": 0.1, "momentum": 0.5}),
        (geoopt.optim.RiemannianAdam, {"lr": 0.05}),
    ):
        start = torch.linalg.qr(torch.randn(4, 2, dtype=torch.float64))[0]
        frame = geoopt.ManifoldParameter(start, manifold=stiefel)
        optimizer = kind([frame], **options)
        losses = []
        for _ in range(15):
            optimizer.zero_grad()
            loss = -torch.trace(frame.T @ covariance @ frame)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[kind.__name__] = [losses, frame.T @ frame]
    for name, manifold, shape in (
        ("ball", geoopt.PoincareBall(c=1.0), (5, 3)),
        ("sphere", geoopt.Sphere(), (5, 3)),
        ("lorentz", geoopt.Lorentz(), (5, 3)),
        ("euclidean", geoopt.Euclidean(1), (5, 3)),
        ("spd", geoopt.SymmetricPositiveDefinite(), (3, 3)),
    ):
        manifold = manifold.double()
        if name == "lorentz":
            x = manifold.projx(torch.randn(*shape, dtype=torch.float64))
        else:
            x = manifold.random(*shape, dtype=torch.float64)
        y = manifold.projx(x + 0.1)
        u = manifold.proju(x, 0.1 * torch.randn(*x.shape, dtype=torch.float64))
        moved = manifold.expmap(x, u)
        results[name] = [
            x,
            y,
            u,
            moved,
            manifold.dist(x, y),
            manifold.inner(x, u, u),
            manifold.retr(x, u),
        ]
        results[name].append(manifold.logmap(x, moved))
    product = geoopt.ProductManifold((geoopt.Sphere(), 3), (geoopt.PoincareBall(), 2))
    x = product.projx(torch.randn(5, 5))
    results["product"] = [x, product.expmap(x, product.proju(x, 0.1 * torch.randn(5, 5)))]
    ball = geoopt.PoincareBall()
    points = geoopt.ManifoldParameter(ball.random_normal(6, 2, std=0.3), manifold=ball)
    optimizer = geoopt.optim.RiemannianAdam([points], lr=0.02)
    for _ in range(10):
        optimizer.zero_grad()
        distances = ball.dist(points[:, None], points[None])
        loss = (distances[0] - 1)[1:].square().sum() + distances[1:, 1:].sum() * 0.01
        loss.backward()
        optimizer.step()
    results["embedded"] = [loss, points, ball.mobius_add(points[:1], points[1:2])]
    return results


tolerance = 1e-3  # distances in the ball are inverse cosines near 1
