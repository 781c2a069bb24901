"""Interrupts in the middle of a call: at any line of the package, or at any instant.

A ``Scene`` is a call with what surrounds it. It is interrupted again and again; each time what comes
afterwards must be right, or an error.
"""

import ast
import functools
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import rushlight

PACKAGE = os.path.dirname(os.path.abspath(rushlight.__file__))


#: What the collector and native code call cannot raise; and a region that is left by Python code
#: stays on where an interrupt comes before that code has done its work, here as in PyTorch.
UNSAFE = "__del__", "_start", "__exit__"


class Interrupt(BaseException):
    """What comes in the middle; nobody in the package knows it."""


@functools.cache
def _contexts(path):
    """(first and last line of the head, of the body) of each ``with`` in a file."""
    try:
        tree = ast.parse(Path(path).read_text("utf-8"))
    except OSError:
        return []
    return [
        (node.lineno, node.items[-1].context_expr.end_lineno, node.body[0].lineno,
         node.body[-1].end_lineno)
        for node in ast.walk(tree) if isinstance(node, ast.With)
    ]  # fmt: skip


def _leaves(path, before, line):
    """Whether a ``with`` is left, which Python does in one step: no signal can come between."""
    return any(a <= line <= b and c <= before <= d for a, b, c, d in _contexts(path))


def _unsafe(frame):
    while frame is not None:
        if frame.f_code.co_name in UNSAFE:
            return True
        frame = frame.f_back
    return False


class Lines:
    """Counts the lines of the package that a call runs, and raises at one of them."""

    def __init__(self, at=None):
        self.at, self.count, self.where = at, 0, None

    def __enter__(self):
        sys.settrace(self._enter)
        return self

    def __exit__(self, *exc):
        sys.settrace(None)

    def _enter(self, frame, event, argument):
        ours = frame.f_code.co_filename.startswith((PACKAGE, "<call of"))
        return self._local() if ours else None

    def _local(self):
        before = 0

        def step(frame, event, argument):
            nonlocal before
            if event == "line":
                line, path = frame.f_lineno, frame.f_code.co_filename
                if not _leaves(path, before, line):
                    if self.count == self.at and _unsafe(frame):
                        self.at += 1
                    if self.count == self.at:
                        sys.settrace(None)
                        self.where = f"{path}:{line}"
                        raise Interrupt(self.where)
                    self.count += 1
                before = line
            return step

        return step


class Instants:
    """Raises at one instant, by a signal."""

    def __init__(self, after):
        self.after, self.where = after, f"after {after * 1e6:.1f} µs"

    def __enter__(self):
        def handler(signum, frame):
            if self.armed:
                self.armed = False
                raise Interrupt

        self.armed = True
        self.before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, max(self.after, 1e-6))
        return self

    def __exit__(self, *exc):
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


def interrupted(scene, interrupt):
    """Run the scene's call; whether it was interrupted."""
    scene.prepare()
    try:
        with warnings.catch_warnings(), interrupt:
            # pytest keeps an interrupt that a callback lost, and so the tensors of its frames.
            for reason in ("a tensor of shape", ".*unraisableexception"):
                warnings.filterwarnings("ignore", f"torch.compile: running eagerly: {reason}")
            scene.act()
    except (Interrupt, KeyboardInterrupt):  # the latter where a callback lost the former
        return True
    return False


def at_lines(scene, random, count):
    """Interrupt ``count`` calls, each at a line; yields where, before the check."""
    for _ in range(2):
        scene.prepare()
        with Lines() as lines:
            scene.act()
        scene.check(False)
    total = lines.count
    chosen = range(total) if count >= total else sorted(random.sample(range(total), count))
    for at in chosen:
        lines = Lines(at)
        done = interrupted(scene, lines)
        yield lines.where
        scene.check(done)


def at_instants(scene, random, count):
    """Interrupt ``count`` calls, each at an instant; yields which, before the check."""
    spans = []
    for _ in range(3):
        scene.prepare()
        began = time.perf_counter()
        scene.act()
        spans.append(time.perf_counter() - began)
        scene.check(False)
    for _ in range(count):
        instant = Instants(random.uniform(0, 1.1 * min(spans)))
        done = interrupted(scene, instant)
        yield instant.where
        scene.check(done)
