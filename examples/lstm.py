"""A word-level LSTM learns a small language, and makes sentences of its own.

The sentences come from a grammar of a dozen rules, with agreement: one dog sleeps, two dogs sleep.
They differ in length, so batches are padded. At the end the loss on new sentences, packed so that
no padding is computed, is compared with the least that is possible, which the grammar tells.
"""

import argparse
import math
import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

GRAMMAR = {
    "S": ["ONE", "MANY"],
    "ONE": ["one NOUN REST1", "one QUALITY NOUN REST1"],
    "MANY": ["two NOUNS REST2", "two QUALITY NOUNS REST2", "all NOUNS REST2"],
    "REST1": ["sleeps .", "sees OBJECT .", "sings and sleeps ."],
    "REST2": ["sleep .", "see OBJECT .", "sing and sleep ."],
    "OBJECT": ["one NOUN", "two NOUNS"],
    "NOUN": ["dog", "cat", "whale", "child"],
    "NOUNS": ["dogs", "cats", "whales", "children"],
    "QUALITY": ["old", "young", "quiet"],
}
PAD, BEGIN = "<pad>", "<begin>"
WORDS = [PAD, BEGIN, *sorted({w for rules in GRAMMAR.values() for r in rules for w in r.split()
                             if w not in GRAMMAR})]  # fmt: skip


def sentence(symbol="S"):
    """(the words of a random sentence, the logarithm of its chance)."""
    if symbol not in GRAMMAR:
        return [symbol], 0.0
    words, chance = [], -math.log(len(GRAMMAR[symbol]))
    for part in random.choice(GRAMMAR[symbol]).split():
        found, c = sentence(part)
        words, chance = words + found, chance + c
    return words, chance


def encode(words):
    """A sentence as the numbers of its words, after that of the beginning."""
    return torch.tensor([WORDS.index(w) for w in [BEGIN, *words]])


def batch(sentences):
    """Sentences padded to one length (n, longest), and how many words to learn each has."""
    encoded = [encode(words) for words in sentences]
    return pad_sequence(encoded, batch_first=True), torch.tensor([len(e) - 1 for e in encoded])


class Model(nn.Module):
    """Embedding, LSTM of two layers, and a score for each word to come."""

    def __init__(self, width=32):
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), width, padding_idx=0)
        self.lstm = nn.LSTM(width, 2 * width, num_layers=2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(2 * width, len(WORDS))

    def forward(self, words):
        output, _ = self.lstm(self.embedding(words))  # padding comes last, and changes nothing
        return self.head(output)

    @torch.no_grad()
    def loss(self, words, lengths):
        """The mean loss of a word, with the sentences packed: no padding is computed."""

        def pack(x):
            return pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)

        output, _ = self.lstm(pack(self.embedding(words[:, :-1])))
        return F.cross_entropy(self.head(output.data), pack(words[:, 1:]).data).item()

    @torch.no_grad()
    def sample(self):
        """A sentence, word by word: the state is carried along."""
        words, state = [BEGIN], None
        while words[-1] != "." and len(words) < 12:
            word = torch.tensor([[WORDS.index(words[-1])]], device=self.head.weight.device)
            last = self.embedding(word)
            output, state = self.lstm(last, state)
            chances = F.softmax(self.head(output[0, 0]), dim=-1)
            words.append(WORDS[torch.multinomial(chances, 1).item()])
        return words[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=300, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    random.seed(0)
    torch.manual_seed(0)
    model = Model().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(words):
        scores = model(words[:, :-1])
        loss = F.cross_entropy(scores.transpose(1, 2), words[:, 1:], ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for i in range(1, options.steps + 1):
        words, _ = batch([sentence()[0] for _ in range(32)])
        loss = step(words.to(device))
        if i % 50 == 0:
            print(f"step {i}: loss {loss.item():.4f}")

    sentences, chances = zip(*[sentence() for _ in range(2000)], strict=True)
    least = -sum(chances) / sum(map(len, sentences))
    model.eval()
    words, counts = batch(sentences)  # packing takes the counts from the CPU
    found = model.loss(words.to(device), counts)
    print(f"loss on new sentences: {found:.3f}; the least: {least:.3f}")
    for _ in range(5):
        print(" ".join(model.sample()))


if __name__ == "__main__":
    main()
