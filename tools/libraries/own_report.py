"""A plugin of pytest that writes each test's outcome to a file, a line of JSON each.

Each test, and the collection of all, starts at the same random state, so that rushlight and PyTorch
draw the same numbers. A run that a time limit or a crash ends has noted all tests before. Three
variables of the environment steer it: OWN_REPORT names the file, OWN_ONLY a file with the ids of
the tests to run, and OWN_LEFT_OUT holds a JSON list of parts of ids; tests whose id has one of them
do not run.
"""

import json
import os
import random
import re

import numpy as np
import pytest
import torch


def pytest_configure(config):
    seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    seed()


def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_collection_modifyitems(config, items):
    left_out = json.loads(os.environ.get("OWN_LEFT_OUT", "[]"))
    only = os.environ.get("OWN_ONLY")
    if only:
        with open(only) as file:
            wanted = set(file.read().splitlines())
    kept = []
    for item in items:
        name = plain(item.nodeid)
        if any(part in name for part in left_out):
            note({"test": name, "outcome": "left out"})
        elif not only or name in wanted:
            kept.append(item)
    items[:] = kept


def pytest_collectreport(report):
    if report.failed:  # an error while a module is imported stands for all its tests
        note({"test": report.nodeid, "outcome": "failed", "why": str(report.longrepr)[-3000:]})


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        outcome = "passed" if hasattr(report, "wasxfail") else report.outcome
        why = "" if outcome == "passed" else str(report.longrepr)[-3000:]
        note({"test": plain(report.nodeid), "outcome": outcome, "why": why,
              "seconds": round(report.duration, 3)})  # fmt: skip


def note(line):
    with open(os.environ["OWN_REPORT"], "a") as file:
        file.write(json.dumps(line) + "\n")


def plain(nodeid):
    """The id without addresses of objects, which differ from process to process."""
    return re.sub(r"0x[0-9a-f]+", "0x", nodeid)
