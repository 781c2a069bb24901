"""Work on many seeds, in processes that may crash or hang, to be stopped and taken up again."""

import argparse
import gc
import multiprocessing
import multiprocessing.connection
import os
import re
import time
import traceback
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEMORY = 12 << 30  # bytes of address space that a worker may take
# Kernels hardly come twice, so they are not kept on disk; BLAS rounds alike on one thread.
ENVIRONMENT = {"RUSHLIGHT_CACHE_DIR": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
HANGS = 150.0  # seconds without a sign of life after which a worker is taken to hang


class Work:
    """A process's share of the work. ``current`` is a file about what it does now."""

    def __init__(self, folder):
        self.folder = folder
        self.current = folder / f"current-{os.getpid()}.py"

    def one(self, seed):
        """(name, script) of each difference that the seed shows."""
        raise NotImplementedError

    @classmethod
    def serve(cls, folder, pipe):
        """In a worker: take seeds from the pipe until None comes."""
        if resource is not None:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        work = cls(folder)
        gc.freeze()  # PyTorch's objects are many, and a compilation collects garbage
        for seed in iter(pipe.recv, None):
            try:
                pipe.send((seed, list(work.one(seed))))
            except Exception as error:
                text = f'"""{traceback.format_exc()}\n\nSeed {seed}."""\n'
                pipe.send((seed, [(f"search failed {type(error).__name__}", text)]))
        work.current.unlink(missing_ok=True)


class Run:
    """All seeds of a run, and what they showed."""

    def __init__(self, work, folder, seed, count, seconds):
        self.work, self.folder = work, folder
        self.ledger = folder / "done.txt"  # one seed a line
        done = set(map(int, self.ledger.read_text().split())) if self.ledger.exists() else set()
        self.todo = (s for s in range(seed, seed + count) if s not in done)
        self.until = time.monotonic() + seconds
        self.found, self.done, self.first = {}, 0, seed
        self.began = self.said = time.monotonic()

    def go(self, jobs):
        """Work in so many processes until all is done; the exit code."""
        before = dict(os.environ)
        os.environ.update(ENVIRONMENT)
        try:
            return self.work_through(jobs)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def work_through(self, jobs):
        print(f"seeds from {self.first}, scripts of differences in {self.folder}/", flush=True)
        workers = [Worker(self) for _ in range(jobs)]
        while workers:
            ready = multiprocessing.connection.wait([w.pipe for w in workers], timeout=5)
            for worker in [w for w in workers if w.pipe in ready]:
                worker.answer()
            for worker in [w for w in workers if w.hangs()]:
                worker.crashed("hangs")
            workers = [w for w in workers if w.seed is not None]
            if time.monotonic() - self.said > 60:
                self.say()
        self.say()
        return 1 if self.found else 0

    def next(self):
        """The next seed, or None where the work is done."""
        return None if time.monotonic() > self.until else next(self.todo, None)

    def finished(self, seed, found):
        self.done += 1
        with self.ledger.open("a") as file:
            print(seed, file=file)
        for name, script in found:
            if name not in self.found:
                file_name = re.sub(r"[^\w.]+", "-", name)[:80].strip("-")
                (self.folder / f"{file_name}-{seed}.py").write_text(script)
                print(f"seed {seed}: {name[:160]}", flush=True)
            self.found[name] = self.found.get(name, 0) + 1

    def say(self):
        self.said = time.monotonic()
        rate = self.done / (self.said - self.began)
        different = len(self.found)
        print(f"{self.done} programs, {rate:.1f} a second, {different} differences", flush=True)


class Worker:
    """A process and the seed that it works on."""

    def __init__(self, run):
        self.run = run
        self.start()

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        target = self.run.work.serve
        self.process = context.Process(target=target, args=(self.run.folder, other), daemon=True)
        self.process.start()
        other.close()
        self.give()

    def give(self):
        self.seed, self.since = self.run.next(), time.monotonic()
        self.pipe.send(self.seed)

    def hangs(self):
        return time.monotonic() - self.since > HANGS

    def answer(self):
        try:
            seed, found = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.crashed("crashes")
            return
        self.run.finished(seed, found)
        self.give()
        if self.seed is None:
            self.process.join()

    def crashed(self, how):
        """Note the program that brought the worker down, and go on with another process."""
        self.process.kill()
        self.process.join()
        current = Path(self.run.folder, f"current-{self.process.pid}.py")
        script = current.read_text() if current.exists() else f"# seed {self.seed}\n"
        current.unlink(missing_ok=True)
        # Where the file is empty, what the worker did last was none of rushlight's.
        self.run.finished(self.seed, [(f"{how} {self.seed}", script)] if script else [])
        self.start()


def main(work, description, arguments=None):
    """The command line of a search; returns the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help="seeds at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time at most")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, help="for scripts and the state of the run")
    given = parser.parse_args(arguments)
    folder = given.folder or Path(f"search-{given.seed}")
    folder.mkdir(parents=True, exist_ok=True)
    return Run(work, folder, given.seed, given.count, given.seconds).go(given.jobs)
