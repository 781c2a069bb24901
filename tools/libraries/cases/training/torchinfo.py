"""Summarise models: layers, shapes, parameters and multiplications."""

requires = ["torchinfo"]


def run():
    """Return the summaries as texts."""
    import torch
    from torch import nn
    from torchinfo import summary

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(20, 8)
            self.lstm = nn.LSTM(8, 16, 2, batch_first=True)
            self.head = nn.Linear(16, 20)

        def forward(self, ids, scale=1.0):
            return self.head(self.lstm(self.embed(ids))[0]) * scale

    conv = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(72, 5),
    )
    conv[0].weight.requires_grad_(False)
    columns = ["input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable"]
    first = summary(conv, (2, 3, 8, 8), col_names=columns, depth=3, verbose=0)
    second = summary(
        Recurrent(), input_data=torch.ones(2, 5, dtype=torch.long), verbose=0, scale=2.0
    )
    third = summary(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2),
        (5, 2, 8),
        depth=4,
        verbose=0,
    )
    return {
        "convolutions": str(first),
        "recurrent": str(second),
        "transformer": str(third),
        "parameters": first.total_params,
        "multiplications": first.total_mult_adds,
    }
