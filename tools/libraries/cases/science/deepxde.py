"""Physics-informed networks solve two equations, one with an unknown rate; a DeepONet learns."""

requires = ["deepxde"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import os

    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde
    import numpy as np
    import torch

    dde.config.set_random_seed(1)
    dde.config.set_default_float("float32")
    results = {}

    def poisson(x, y):
        second = dde.grad.hessian(y, x)
        return -second - np.pi**2 * torch.sin(np.pi * x)

    interval = dde.geometry.Interval(-1, 1)
    edge = dde.icbc.DirichletBC(interval, lambda x: np.sin(np.pi * x), lambda _, on: on)
    data = dde.data.PDE(
        interval, poisson, edge, 16, 2, solution=lambda x: np.sin(np.pi * x), num_test=20
    )
    model = dde.Model(data, dde.nn.FNN([1, 16, 16, 1], "tanh", "Glorot uniform"))
    model.compile("adam", lr=0.005, metrics=["l2 relative error"])
    history, _ = model.train(iterations=30, display_every=10, verbose=0)
    results["poisson"] = [
        np.array(history.loss_train),
        model.predict(np.linspace(-1, 1, 7)[:, None]),
    ]
    model.compile("L-BFGS")
    dde.optimizers.set_LBFGS_options(maxiter=10)
    history, _ = model.train(verbose=0, display_every=1000)
    results["L-BFGS"] = np.array(history.loss_train[-1]) < np.array(history.loss_train[0])

    rate = dde.Variable(0.5)
    timed = dde.geometry.GeometryXTime(interval, dde.geometry.TimeDomain(0, 1))

    def heat(x, y):
        return dde.grad.jacobian(y, x, i=0, j=1) - rate * dde.grad.hessian(y, x, i=0, j=0)

    start = dde.icbc.IC(timed, lambda x: np.sin(np.pi * x[:, :1]), lambda _, on: on)
    data = dde.data.TimePDE(timed, heat, [start], num_domain=20, num_initial=8, num_boundary=4)
    model = dde.Model(data, dde.nn.FNN([2, 8, 8, 1], "sin", "Glorot normal"))
    model.compile("adam", lr=0.01, external_trainable_variables=[rate], loss_weights=[1, 10])
    history, _ = model.train(iterations=20, display_every=10, verbose=0)
    results["heat"] = [np.array(history.loss_train), rate]

    draw = np.random.RandomState(0)
    inputs, places = (
        draw.randn(12, 6).astype(np.float32),
        np.linspace(0, 1, 9, dtype=np.float32)[:, None],
    )
    outputs = np.cumsum(np.repeat(inputs.mean(1, keepdims=True), 9, 1), 1).astype(np.float32)
    data = dde.data.TripleCartesianProd((inputs, places), outputs, (inputs, places), outputs)
    net = dde.nn.DeepONetCartesianProd([6, 10, 10], [1, 10, 10], "relu", "Glorot normal")
    model = dde.Model(data, net)
    model.compile("adam", lr=0.01)
    history, _ = model.train(iterations=20, display_every=10, verbose=0)
    results["operator"] = np.array(history.loss_train)
    return results


tolerance = 2e-3  # second derivatives of a net in float32 that is trained for many steps
