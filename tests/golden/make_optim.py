"""Record where PyTorch's optimizers and schedules arrive: python -m tests.golden.make_optim

Needs PyTorch. For each rule, the parameter after fifty steps in float64; for each schedule, the
rates of some steps.
"""

import json
import pathlib

import torch

from tests.optim.test_lr_scheduler import SCHEDULES, arrive
from tests.optim.test_rules import RULES, trajectory

if __name__ == "__main__":
    rules = {
        rule: trajectory(torch, rule, "float64", shapes=[(3,)])[1][0].tolist() for rule in RULES
    }
    found = {"rules": rules, "schedules": {name: arrive(torch, name) for name in SCHEDULES}}
    path = pathlib.Path(__file__).with_name("optim.json")
    path.write_text(json.dumps(found, indent=1) + "\n")
