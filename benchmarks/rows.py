"""The rows of the table: each sets up one piece of work under a framework with PyTorch's API.

``ROWS[name] = (setup, number, target)``: ``setup(torch)`` returns the function to time, ``number``
how often it is called in one block, ``target`` the ratio to PyTorch's time that is aimed at.
"""

from itertools import pairwise


def small(expression, requires_grad=False):
    """One operation on 8×8 tensors."""

    def setup(torch):
        torch.manual_seed(0)
        x = torch.randn(8, 8, requires_grad=requires_grad)
        y = torch.randn(8, 8, requires_grad=requires_grad)
        return {"add": lambda: x + y, "matmul": lambda: x @ y}[expression]

    return setup


def chain(torch):
    """100 operations on 200 elements, forward and backward."""
    x = torch.ones(200, requires_grad=True)
    seed = torch.ones(200)

    def run():
        y = x
        for _ in range(50):
            y = y * 1.01
            y = y + 0.1
        y.backward(seed)
        x.grad = None

    return run


def training(build, shape, classes, optimizer, loss="cross_entropy"):
    """One training step: zero_grad, forward, loss, backward, step."""

    def setup(torch):
        torch.manual_seed(0)
        model = build(torch.nn)
        x = torch.randn(*shape)
        y = torch.randint(0, classes, shape[:1])
        criterion = torch.nn.CrossEntropyLoss()
        steps = {
            "sgd": lambda p: torch.optim.SGD(p, lr=0.01),
            "adam": lambda p: torch.optim.Adam(p),
        }
        opt = steps[optimizer](model.parameters())

        def step():
            opt.zero_grad()
            criterion(model(x), y).backward()
            opt.step()

        return step

    return setup


def mlp(*sizes):
    """Linear layers with ReLU between them."""

    def build(nn):
        layers = []
        for n, m in pairwise(sizes):
            layers += [nn.Linear(n, m), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    return build


def mnist_cnn(nn):
    """Two 3×3 convolutions of 32 and 64 channels, pooling, 128 hidden."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


ROWS = {
    "add 8×8, no grad": (small("add"), 20000, 0.7),
    "add 8×8, taped": (small("add", True), 20000, 0.6),
    "matmul 8×8, no grad": (small("matmul"), 20000, 0.7),
    "matmul 8×8, taped": (small("matmul", True), 20000, 0.6),
    "chain of 100 operations on 200 elements, forward and backward": (chain, 100, 0.8),
    "step 4-8-2, batch 1, SGD": (training(mlp(4, 8, 2), (1, 4), 2, "sgd"), 500, 0.35),
    "step 4-64-64-2, batch 32, Adam": (training(mlp(4, 64, 64, 2), (32, 4), 2, "adam"), 200, 0.35),
    "step 784-128-10, batch 64, Adam": (
        training(mlp(784, 128, 10), (64, 784), 10, "adam"),
        100,
        1.5,
    ),
    "step MNIST CNN, batch 64, Adam": (training(mnist_cnn, (64, 1, 28, 28), 10, "adam"), 3, 1.5),
}
