"""Random training loops: chosen from the parts, checked, and made smaller where they differ."""

import random as randomness
import time
from dataclasses import replace

from tests.search.training import parts
from tests.search.training.parts import Loop
from tests.search.training.running import check
from tests.search.workers import Work

SECONDS = 40.0  # for making one loop smaller
STATEFUL = ("Counting", "Moving", "nn.BatchNorm", "nn.utils.parametrizations.spectral", "Shaped")


def loop_of(seed):
    """The loop of a seed."""
    r = randomness.Random(seed)
    fuse = r.randrange(1, 6)
    few = lambda table, most: r.sample(table, r.randint(0, most))
    body = [r.choice(parts.BEFORE), r.choice(parts.FORWARDS), r.choice(parts.LOSSES)]
    recomputed = "checkpoint" in body[1]  # docs/differences.md: what runs again, and how often
    body += [parts.BACKWARDS[0] if recomputed else r.choice(parts.BACKWARDS), *few(parts.CLIPS, 1)]
    scaled = "s.scaler" in body[3]
    body.append(parts.STEPS[-1] if scaled else r.choice(parts.STEPS[:-1]))
    if r.random() < 0.15:
        body[1] = f"with T.autocast('cpu', dtype=T.bfloat16): {body[1]}"
    layers = tuple(r.choices(parts.LAYERS, k=r.randint(1, 4)))
    optimizer = r.choice(parts.OPTIMIZERS)
    if recomputed:
        layers = tuple([x for x in layers if not x.startswith(STATEFUL)]) or ("nn.Linear(6, 6)",)
    if "autocast" in body[1]:  # Adam would make much of gradients that are 0 but for rounding
        optimizer = "SGD(PARAMS, lr=0.05, momentum=0.9)"
    for line in few([m for m in parts.MORE if not (recomputed and "halve" in m)], 4):
        body.insert(r.randint(3, len(body)), line)
    if r.random() < 0.3:
        body.insert(r.randint(0, len(body)), r.choice(parts.BOMBS).replace("FUSE", str(fuse)))
    steps = r.randint(4, 10)
    return Loop(
        seed,
        r.choice(["float32", "float64"]),
        layers,
        optimizer,
        r.choice(parts.SCHEDULERS),
        () if recomputed else tuple(few(parts.SETUPS, 2)),
        tuple(body),
        tuple((r.randrange(steps), line) for line in few(parts.EVENTS, 3)),
        steps,
    )


def shrink(loop, kind, seconds=SECONDS):
    """A smaller loop with a difference of the same kind."""
    until = time.monotonic() + seconds
    progress = True
    while progress:
        progress = False
        for candidate in smaller(loop):
            if time.monotonic() > until:
                return loop
            try:
                found = check(candidate, noisy=4, amount=4.0, kind=kind)
            except Exception:
                continue
            if found is not None and found.kind == kind:
                loop, progress = candidate, True
                break
    return loop


def smaller(loop):
    if loop.steps > 1:
        yield replace(loop, steps=loop.steps // 2)
    for name in ("events", "setups", "layers", "body"):
        items = getattr(loop, name)
        for i in range(len(items)):
            yield replace(loop, **{name: items[:i] + items[i + 1 :]})
    if loop.steps > 1:
        yield replace(loop, steps=loop.steps - 1)
    for name, plain in (
        ("optimizer", "SGD(PARAMS, lr=0.05)"),
        ("scheduler", "StepLR(s.opt, 2, 0.5)"),
        ("layers", ("nn.Linear(6, 6)",)),
        ("dtype", "float32"),
    ):
        if getattr(loop, name) != plain:
            yield replace(loop, **{name: plain})
    for name, line in (
        ("F.mse_loss", "loss = F.mse_loss(out, y)"),
        ("s.net(x)", "out = s.net(x)"),
        ("loss.backward()", "loss.backward()"),
    ):
        for i, old in enumerate(loop.body):
            if old != line and old.split(" = ")[0] == line.split(" = ")[0] and name not in old[:20]:
                yield replace(loop, body=(*loop.body[:i], line, *loop.body[i + 1 :]))


class Loops(Work):
    """A worker's share of the seeds."""

    def one(self, seed):
        loop = loop_of(seed)
        self.current.write_text(loop.script)
        found = check(loop)
        if found is None:
            return
        again = check(loop, noisy=6, amount=4.0, kind=found.kind)
        if again is None or again.kind != found.kind:
            return
        loop = shrink(loop, found.kind)
        found = check(loop, noisy=4, amount=4.0, kind=found.kind) or found
        yield loop.name(found), f'"""{found}\n\nSeed {seed}.\n"""\n{loop.script}'
