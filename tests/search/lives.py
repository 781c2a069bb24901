"""Lives of objects: random events, one after the other, in rushlight and in PyTorch.

A life has ``happen(event)``, which returns the exception that the event raised or None, and
``look()``, what can be seen afterwards. Events after which the two differ are made fewer.
"""

import os
import random
import warnings

__all__ = ["SEED", "attempt", "close", "search"]

SEED = int(os.environ.get("RUSHLIGHT_SEED", random.SystemRandom().randrange(1 << 32)))


def attempt(event, names):
    """Run the line ``event``; the exception that it raised, or None."""
    try:
        exec(event, names)
    except Exception as error:
        return error
    return None


def close(a, b, rel=0.0):
    """Whether nested values are the same, but for rounding; nan is nan alone."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or abs(a - b) <= rel * (1 + abs(b)) or (a != a and b != b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(close(x, y, rel) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(x, b[k], rel) for k, x in a.items())
    return a == b or str(a) == str(b)


def search(draw, difference, count, seed):
    """Assert that ``difference`` finds none in ``count`` lives that ``draw`` makes.

    ``draw(choose)`` gives (what a life begins with, a list of events); ``difference`` of the two
    says what differs first, or None.
    """
    choose = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            make, events = draw(choose)
            found, i = difference(make, events), 0
            while found and i < len(events):
                fewer = events[:i] + events[i + 1 :]
                if difference(make, fewer):
                    events = fewer
                else:
                    i += 1
            assert not found, f"seed {seed}: {make}\n{events}: {difference(make, events)}"
