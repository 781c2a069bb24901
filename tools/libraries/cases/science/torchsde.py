"""Stochastic differential equations by several solvers; a latent one is trained."""

requires = ["torchsde"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    import torchsde

    class Equation(torch.nn.Module):
        def __init__(self, noise, sde):
            super().__init__()
            self.noise_type, self.sde_type = noise, sde
            self.mu = torch.nn.Linear(3, 3)
            self.sigma = torch.nn.Linear(3, 6 if noise == "general" else 3)

        def f(self, t, y):
            return self.mu(y)

        def g(self, t, y):
            found = torch.sigmoid(self.sigma(y))
            return found.view(-1, 3, 2) if self.noise_type == "general" else found

    results = {}
    ts, y0 = torch.linspace(0, 1, 6), torch.full((4, 3), 0.1)
    for noise, sde, method in (
        ("diagonal", "ito", "euler"),
        ("diagonal", "ito", "milstein"),
        ("diagonal", "ito", "srk"),
        ("diagonal", "stratonovich", "heun"),
        ("general", "stratonovich", "midpoint"),
        ("general", "stratonovich", "reversible_heun"),
    ):
        equation = Equation(noise, sde)
        motion = torchsde.BrownianInterval(
            t0=0.0,
            t1=1.0,
            size=(4, 2 if noise == "general" else 3),
            entropy=3,
            levy_area_approximation="space-time",
        )
        solve = torchsde.sdeint if method != "midpoint" else torchsde.sdeint_adjoint
        ys = solve(equation, y0, ts, bm=motion, method=method, dt=0.05)
        ys[-1].square().mean().backward()
        results[f"{noise} {sde} {method}"] = [ys, [p.grad for p in equation.parameters()]]

    class Latent(torchsde.SDEIto):
        def __init__(self):
            super().__init__(noise_type="diagonal")
            self.net = torch.nn.Sequential(
                torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
            )

        def f(self, t, y):
            return self.net(
                torch.cat([torch.sin(t).expand_as(y), torch.cos(t).expand_as(y), y], dim=-1)
            )

        def g(self, t, y):
            return torch.full_like(y, 0.5)

        def h(self, t, y):
            return -y

    sde = Latent()
    optimizer = torch.optim.Adam(sde.parameters(), lr=0.01)
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        motion = torchsde.BrownianInterval(
            t0=0.0, t1=1.0, size=(8, 2), entropy=step
        )  # one more column for the ratio
        ys, ratio = torchsde.sdeint_adjoint(
            sde,
            torch.zeros(8, 1),
            ts,
            bm=motion,
            logqp=True,
            method="euler",
            dt=0.1,
        )
        loss = (ys - torch.sin(ts)[:, None, None]).square().mean() + ratio.sum(0).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results["latent"] = losses
    tree = torchsde.BrownianTree(t0=0.0, w0=torch.zeros(2, 2), t1=1.0, entropy=7)
    results["tree"] = [tree(0.3), tree(0.3, 0.9)]
    return results
