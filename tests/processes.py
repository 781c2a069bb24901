"""Processes that tests start. None may hang: a run of the tests would hang with it."""

import subprocess

#: Seconds after which a process is ended, on a machine that is busy with other work, too.
PATIENCE = 900


def run(command, timeout=PATIENCE, **options):
    """``subprocess.run``, which raises ``TimeoutExpired`` if the process takes too long."""
    return subprocess.run(command, timeout=timeout, **options)
