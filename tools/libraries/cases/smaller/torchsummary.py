"""Summaries of modules with the shapes and numbers of parameters, which hooks collect."""

requires = ["torchsummary"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import contextlib
    import io

    from torch import nn
    from torchsummary import summary

    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Bilinear(3, 2, 5)

        def forward(self, a, b):
            return self.second(self.first(a), b)

    results = {}
    for name, model, shapes in (("one", net, (3, 8, 8)), ("two", Two(), [(4,), (2,)])):
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            summary(model, shapes, device="cpu")
        results[name] = text.getvalue()
    return results
