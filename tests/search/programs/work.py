"""What the program of one seed shows, made small, as a worker of a run reports it."""

import warnings

from tests.search.programs.generate import Generator
from tests.search.programs.session import confirmed, finish
from tests.search.programs.shrink import shrink
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
