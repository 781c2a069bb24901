"""What a fork and join of the native pool costs: ``python -m benchmarks.threads``.

A round is one fork and join over a number of chunks. Rounds are timed with one thread and with all
threads, in turns. The machine is first left as it is, and then other processes keep every core
busy. Rounds that begin after the workers went to sleep are timed too, on the machine as it is.
``python -m benchmarks --table busy`` times whole training steps on busy cores.
"""

import argparse
import statistics
import time

import numpy as np

import rushlight as torch
from benchmarks.process import busy_cores
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import threads

KERNELS = """
declare i64 @parallel(ptr, ptr, i64, ptr)

define void @empty(ptr %args, i64 %chunk, ptr %scratch) {
  ret void
}

define void @steps(ptr %args, i64 %chunk, ptr %scratch) {  ; 1000 dependent loads
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %p = getelementptr i64, ptr %args, i64 %i
  %zero = load volatile i64, ptr %p
  %up = add i64 %i, 1
  %i1 = add i64 %up, %zero
  %more = icmp ult i64 %i1, 1000
  br i1 %more, label %loop, label %done
done:
  ret void
}

define void @rounds(ptr %table) {  ; kernel, args, chunks, rounds
entry:
  %kernel = load ptr, ptr %table
  %p1 = getelementptr i64, ptr %table, i64 1
  %args = load ptr, ptr %p1
  %p2 = getelementptr i64, ptr %table, i64 2
  %chunks = load i64, ptr %p2
  %p3 = getelementptr i64, ptr %table, i64 3
  %rounds = load i64, ptr %p3
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %stopped = call i64 @parallel(ptr %kernel, ptr %args, i64 %chunks, ptr null)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %rounds
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


class Rounds:
    """Times rounds of a kernel from the LLVM module ``KERNELS``."""

    def __init__(self):
        self.library = load(host().object_code(KERNELS), {"parallel": threads.parallel()})
        self.run = self.library.function("rounds")
        self.zeros = np.zeros(1000, np.int64)

    def __call__(self, kernel, chunks, rounds):
        """Return the microseconds that one round takes, on average over ``rounds`` rounds."""
        kernel = self.library.address(kernel)
        table = np.array([kernel, self.zeros.ctypes.data, chunks, rounds])
        began = time.perf_counter()
        self.run(table.ctypes.data)
        return (time.perf_counter() - began) / rounds * 1e6


def spread(name, samples):
    samples.sort()
    least, median = samples[0], statistics.median(samples)
    mean = statistics.fmean(samples)
    print(f"  {name:<34}{least:10.2f}{median:10.2f}{mean:10.2f}", flush=True)


def measure(time_rounds, count, repeats):
    """Time one thread and ``count`` threads in turns, because other processes come and go."""
    for kernel, chunks, rounds in (
        ("empty", 2, 1000),
        ("empty", 64, 100),
        ("steps", 2, 200),
        ("steps", 16, 50),
        ("steps", 256, 5),
    ):
        samples: dict = {1: [], count: []}
        for _ in range(5):
            for n, found in samples.items():
                torch.set_num_threads(n)
                time_rounds("empty", 2, 10)  # untimed rounds, so that the workers start
                found += [time_rounds(kernel, chunks, rounds) for _ in range(repeats)]
        for n, found in samples.items():
            spread(f"{chunks} chunks, {kernel}, {n} threads", found)


def cold(time_rounds, count, repeats):
    torch.set_num_threads(count)
    samples = []
    for _ in range(repeats):
        time.sleep(0.002)
        samples.append(time_rounds("empty", 2, 1))
    spread(f"2 chunks, empty, {count} asleep", samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=max(2, torch.get_num_threads()))
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    time_rounds = Rounds()
    print(f"{'microseconds a round':<36}{'least':>10}{'median':>10}{'mean':>10}")
    print("as the machine is")
    measure(time_rounds, options.threads, options.repeats)
    cold(time_rounds, options.threads, 10 * options.repeats)
    print("on busy cores")
    with busy_cores():
        measure(time_rounds, options.threads, options.repeats)


if __name__ == "__main__":
    main()
