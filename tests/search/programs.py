"""Random programs against PyTorch, eager and compiled: python -m tests.search.programs --seed S --count N

Exit code 1 if there is a difference: each is made smaller and left as a script in the folder. A run
that was stopped goes on where it was if the folder is the same.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

from tests.search.generate import Generator
from tests.search.session import confirmed, finish
from tests.search.shrink import shrink
from tests.search.workers import Work


def differences(seed, current=None, known=frozenset()):
    """Pairs of a minimal program and its difference, for the program of a seed.

    ``current``: a file in which the program lies while its code runs, for the case of a crash.
    ``known``: names of differences, as from ``name_of``, that need no second look.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generator = Generator(seed)
        program = generator.program()
        if current is not None:
            current.write_text(program.script)
        seen = generator.seen
        found = finish(generator.session, program)
        if found is not None:
            seen.append((program, found))
        for program, found in seen:
            if rough_name(program, found) not in known and confirmed(program, found):
                known = known | {rough_name(program, found)}
                yield shrink(program, found.kind), found


def rough_name(program, found):
    """A name of a difference before the program is shrunk: its last line's form says enough."""
    if " " in found.kind or found.kind in ("gradient", "backward"):
        return f"{found.kind} of {program.seed}"
    return f"{found.kind} {program.steps[-1].form}"


class Programs(Work):
    """A worker's share of the seeds."""

    def __init__(self, folder):
        super().__init__(folder)
        self.known = set()

    def one(self, seed):
        """Names and scripts of the differences of a seed."""
        for program, found in differences(seed, self.current, frozenset(self.known)):
            self.known.add(f"{found.kind} {program.steps[-1].form}" if program.steps else "")
            forms = " ; ".join(s.form for s in program.steps)
            script = f'"""{found}\n\nSeed {seed}.\n"""\n\n{program.script}'
            yield f"{found.kind} {forms}", script


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="tests.search.programs", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first program")
    parser.add_argument("--count", type=int, default=1000, help="programs at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time at most")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, help="for scripts and the state of the run")
    given = parser.parse_args(arguments)
    folder = given.folder or Path(f"search-{given.seed}")
    return Programs.spread(folder, given.seed, given.count, given.seconds, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
