"""Transforms of functions on one thread: each row sets up work under PyTorch's API.

In ``ROWS[name] = (setup, target)``, ``setup(torch)`` returns the function to time, and ``target``
is the ratio to PyTorch's time that rushlight should not exceed. All calls are eager.
"""

import importlib

__all__ = ["ROWS", "start"]


def ensemble(torch):
    """The predictions of 16 networks whose parameters are stacked."""
    nn, func = torch.nn, torch.func

    def network():
        return nn.Sequential(
            nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
        )

    networks = [network() for _ in range(16)]
    state, x = func.stack_module_state(networks), torch.randn(10, 8)

    def predict(parameters, buffers):
        return func.functional_call(networks[0], (parameters, buffers), (x,))

    return lambda: torch.vmap(predict)(*state)


def gradients_of_samples(torch):
    """The gradient of the loss of a convolutional network, for each of 16 images."""
    nn = torch.nn
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 10)
    )
    parameters = {k: p.detach() for k, p in network.named_parameters()}
    images, labels = torch.randn(16, 1, 12, 12), torch.randint(0, 10, (16,))

    def loss(parameters, image, label):
        found = torch.func.functional_call(network, parameters, (image[None],))
        return nn.functional.cross_entropy(found, label[None])

    each = torch.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: each(parameters, images, labels)


def sines(torch):
    """One operation on a batch."""
    x = torch.randn(32, 8)
    return lambda: torch.vmap(torch.sin)(x)


def weighted_sums(torch):
    """Two operations, one of which reads a tensor from outside."""
    x, w = torch.randn(32, 8), torch.randn(8)
    return lambda: torch.vmap(lambda x: (x * w).sum())(x)


def small_network(torch):
    """A function of a vector with 8 elements, and such a vector."""
    w, v, x = torch.randn(16, 8), torch.randn(4, 16), torch.randn(8)
    return lambda x: v @ torch.tanh(w @ x), x


def derivative(name):
    """A transform of a small network that takes the function alone."""

    def setup(torch):
        f, x = small_network(torch)
        return lambda: getattr(torch.func, name)(f)(x)

    return setup


def summed(name):
    """A transform of the sum of a small network's results."""

    def setup(torch):
        f, x = small_network(torch)
        return lambda: getattr(torch.func, name)(lambda x: f(x).sum())(x)

    return setup


def gradients_of_vectors(torch):
    """The gradient of a small network for each of 32 vectors."""
    f, _ = small_network(torch)
    x = torch.randn(32, 8)
    return lambda: torch.vmap(torch.func.grad(lambda x: f(x).sum()))(x)


def product_from_left(torch):
    """A vector times a Jacobian."""
    f, x = small_network(torch)
    u = torch.randn(4)
    return lambda: torch.func.vjp(f, x)[1](u)


def product_from_right(torch):
    """A Jacobian times a vector."""
    f, x = small_network(torch)
    t = torch.randn(8)
    return lambda: torch.func.jvp(f, (x,), (t,))


def linear_function(torch):
    """The linear function that ``linearize`` gives, called again."""
    f, x = small_network(torch)
    t = torch.randn(8)
    product = torch.func.linearize(f, x)[1]
    return lambda: product(t)


def dual_numbers(torch):
    """The tangent of a small network by a dual tensor."""
    f, x = small_network(torch)
    t, forward = torch.randn(8), torch.autograd.forward_ad

    def run():
        with forward.dual_level():
            return forward.unpack_dual(f(forward.make_dual(x, t)))

    return run


ROWS = {
    "vmap of 16 networks": (ensemble, 1.5),
    "vmap(grad) of a convolutional network": (gradients_of_samples, 1.5),
    "vmap(grad) of a small network": (gradients_of_vectors, 1.5),
    "vmap of sin": (sines, 1.5),
    "vmap of (x * w).sum()": (weighted_sums, 1.5),
    "grad": (summed("grad"), 1.5),
    "vjp": (product_from_left, 1.5),
    "jvp": (product_from_right, 1.5),
    "jacrev": (derivative("jacrev"), 1.5),
    "jacfwd": (derivative("jacfwd"), 1.5),
    "hessian": (summed("hessian"), 1.5),
    "a call of what linearize gives": (linear_function, 1.5),
    "a dual tensor": (dual_numbers, 1.5),
}


def start(way, row):
    """The function to time for a row, under the framework whose module is called ``way``."""
    torch = importlib.import_module(way)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    setup, _ = ROWS[row]
    return setup(torch)
