"""A neural ODE is trained through dopri5 and the adjoint, beside fixed-step and event solvers."""

requires = ["torchdiffeq"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from torchdiffeq import odeint, odeint_adjoint, odeint_event

    class Field(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(
                torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2)
            )

        def forward(self, t, y):
            return self.net(y**3)

    true = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    t = torch.linspace(0, 2, 12)
    with torch.no_grad():
        data = odeint(lambda t, y: y**3 @ true, torch.tensor([[2.0, 0.0]]), t)
    results = {"data": data}
    for name, solve in {"direct": odeint, "adjoint": odeint_adjoint}.items():
        field = Field()
        optimizer = torch.optim.RMSprop(field.parameters(), lr=1e-2)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = (solve(field, data[0], t, rtol=1e-4, atol=1e-5) - data).abs().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name] = [losses, [p.grad for p in field.parameters()]]
    y0 = torch.tensor([1.0, 0.5], dtype=torch.float64)
    t = t.double()
    for method in (
        "euler",
        "midpoint",
        "rk4",
        "heun3",
        "adaptive_heun",
        "bosh3",
        "dopri8",
        "fehlberg2",
        "explicit_adams",
        "implicit_adams",
        "scipy_solver",
    ):
        options = {"solver": "LSODA"} if method == "scipy_solver" else None
        results[method] = odeint(
            lambda t, y: torch.stack([y[1], -y[0]]), y0, t, method=method, options=options
        )

    gravity = torch.tensor(9.8, requires_grad=True)
    state = (torch.tensor(10.0), torch.tensor(0.0))
    time, states = odeint_event(
        lambda t, s: (s[1], -gravity),
        state,
        torch.tensor(0.0),
        event_fn=lambda t, s: s[0],
        odeint_interface=odeint,
    )
    time.backward()
    results["event"] = [time, states[0][-1] * 0, states[1], gravity.grad]
    return results


# The adaptive solvers choose their steps by a difference of close numbers.
tolerance = 2e-3
