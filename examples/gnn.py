"""A graph network sorts the members of a network into their communities.

A graph of three communities is drawn at random: members know each other often inside one and
seldom across. Only four members of each have a label. Two graph convolutions, whose messages are
summed by ``index_add``, spread what is known along the edges.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

COMMUNITIES, MEMBERS = 3, 60


def graph():
    """(edges (2, E) in both directions, the community of each member)."""
    community = torch.arange(COMMUNITIES * MEMBERS) // MEMBERS
    same = community[:, None] == community[None, :]
    known = torch.rand(same.shape) < torch.where(same, 0.12, 0.01)
    return (known.triu(1) | known.triu(1).T).nonzero().T, community


class GraphConvolution(nn.Module):
    """Each node's new features: a linear map of the normalised sum over its neighbours and it."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x, source, target, weight):
        messages = self.linear(x)[source] * weight[:, None]
        gathered = messages.new_zeros(len(x), messages.shape[1])
        return gathered.index_add(0, target, messages) + self.bias


class Network(nn.Module):
    """Two graph convolutions."""

    def __init__(self, inputs, classes, width=16):
        super().__init__()
        self.first = GraphConvolution(inputs, width)
        self.second = GraphConvolution(width, classes)

    def forward(self, x, source, target, weight):
        h = F.relu(self.first(x, source, target, weight))
        h = F.dropout(h, 0.5, self.training)
        return self.second(h, source, target, weight)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--epochs", type=int, default=200, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    edges, community = graph()
    n = len(community)
    loops = torch.arange(n).expand(2, n)
    source, target = torch.cat([edges, loops], dim=1).to(device)
    ones = torch.ones(len(target), device=device)
    degree = torch.zeros(n, device=device).scatter_add(0, target, ones)
    weight = (degree[source] * degree[target]).rsqrt()
    x = torch.eye(n, device=device)  # a member has no features but who it is
    labelled = torch.cat([torch.arange(4) + MEMBERS * c for c in range(COMMUNITIES)])
    hidden = torch.ones(n, dtype=torch.bool).index_fill(0, labelled, False)
    community, labelled, hidden = [t.to(device) for t in (community, labelled, hidden)]

    model = Network(n, COMMUNITIES).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)

    def step():
        optimizer.zero_grad()
        out = model(x, source, target, weight)
        loss = F.cross_entropy(out[labelled], community[labelled])
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for epoch in range(1, options.epochs + 1):
        loss = step()
        if epoch % 40 == 0:
            print(f"epoch {epoch}: loss {loss.item():.4f}")

    model.eval()
    with torch.no_grad():
        guess = model(x, source, target, weight).argmax(dim=1)
    print(f"{edges.shape[1] // 2} edges, {len(labelled)} labels")
    print(f"accuracy on the others: {(guess == community)[hidden].float().mean():.3f}")


if __name__ == "__main__":
    main()
