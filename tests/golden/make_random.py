"""PyTorch's draws for tests/test_random.py: ``python -m tests.golden.make_random`` records them.

Each case has its numbers and how many words of the engine's block are left after them; one
generator's state is recorded with the numbers that follow it.
"""

from pathlib import Path

import numpy as np

from tests.random_cases import CASES, SEED, name, theirs

FILE = Path(__file__).with_name("random.npz")


def load():
    """The recorded arrays: "numbers", cases one after the other; "left"; "state", "following"."""
    with np.load(FILE) as file:
        return dict(file)


def record():
    """Ask PyTorch and write the file."""
    import torch

    numbers, left = {}, []
    for case in CASES:
        generator = torch.Generator().manual_seed(SEED)
        array = theirs(case, generator)
        # Bytes: NumPy's files do not know bfloat16.
        numbers[name(case)] = np.frombuffer(array.tobytes(), np.uint8)
        left.append(generator.get_state()[8:12].numpy().view(np.int32)[0])
    generator.manual_seed(-3)
    torch.empty(1001).normal_(generator=generator)
    torch.empty(3).normal_(generator=generator)
    state = generator.get_state().numpy()
    following = torch.empty(5).normal_(generator=generator).numpy()
    np.savez_compressed(
        FILE,
        numbers=np.concatenate(list(numbers.values())),
        left=np.array(left),
        state=state,
        following=following,
    )


if __name__ == "__main__":
    record()
