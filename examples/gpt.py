"""A character-level GPT learns to add, from text alone, and is then asked for sums.

The text is lines as ``27+58=58`` written backwards: ``27+58=58`` ends in the sum's units first, the
order in which carrying works. The model only ever guesses the next character.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

ALPHABET = "0123456789+=\n"
LENGTH = len("27+58=580\n") - 1  # of what the model sees at once


def encode(text):
    """The numbers of the characters."""
    return [ALPHABET.index(c) for c in text]


def line(a, b):
    """A sum as text, the digits of its result in reverse: 27+58=580 for 85."""
    return f"{a:02d}+{b:02d}={a + b:03d}"[:6] + f"{a + b:03d}"[::-1] + "\n"


class Attention(nn.Module):
    """Causal self-attention with several heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.project(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention and a perceptron, each added to what came in."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))


class GPT(nn.Module):
    """A decoder-only transformer over characters."""

    def __init__(self, width=48, heads=4, depth=2):
        super().__init__()
        self.characters = nn.Embedding(len(ALPHABET), width)
        self.places = nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(ALPHABET), bias=False)
        self.head.weight = self.characters.weight  # one matrix reads and writes characters
        nn.init.normal_(self.characters.weight, std=0.1)

    def forward(self, tokens):
        x = self.characters(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def continued(self, text, temperature=0.3):
        """``text`` and what the model writes after it, up to the end of the line."""
        tokens = encode(text)
        while len(tokens) < LENGTH + 1 and ALPHABET[tokens[-1]] != "\n":
            logits = self(torch.tensor([tokens]))[0, -1]
            chances = F.softmax(logits / temperature, dim=-1)
            tokens.append(torch.multinomial(chances, 1).item())
        return "".join(ALPHABET[t] for t in tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the model")
    options = parser.parse_args()

    torch.manual_seed(0)
    lines = torch.tensor([encode(line(a, b)) for a in range(50) for b in range(50)])
    lines = lines[torch.randperm(len(lines))]
    test, training = lines[:250], lines[250:]

    model = GPT()
    compute = torch.compile(model) if options.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=600)

    def loss_of(tokens):
        logits = compute(tokens[:, :-1])
        answers = logits[:, 5:]  # what stands before the "=" is random
        return F.cross_entropy(answers.flatten(0, 1), tokens[:, 6:].flatten())

    for step in range(1, 601):
        loss = loss_of(training[torch.randint(len(training), (64,))])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}")

    model.eval()
    with torch.no_grad():
        guesses = model(test[:, :-1])[:, 5:].argmax(dim=-1)
    right = (guesses == test[:, 6:]).all(dim=1).float().mean()
    print(f"sums never seen, answered right: {right:.2f}")
    for a, b in ((12, 34), (27, 48), (5, 9), (49, 49)):
        written = model.continued(f"{a:02d}+{b:02d}=")
        print(f"{a} + {b} = {written[6:9][::-1]}")


if __name__ == "__main__":
    main()
