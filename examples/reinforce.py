"""REINFORCE learns to balance a pole on a cart, from rewards alone.

The environment, a pole hinged on a cart that is pushed left or right, is thirty lines of physics.
The policy is a small network; after each episode it makes the actions that did better than usual
likelier.
"""

import argparse
import math
import random

import torch
from torch import nn
from torch.distributions import Categorical

# One different action changes all that follows: double precision keeps runs comparable.
torch.set_default_dtype(torch.float64)


class CartPole:
    """A cart of 1 kg with a pole of 0.1 kg and half a metre to its centre, in steps of 20 ms."""

    LONGEST = 200

    def reset(self):
        """Begin an episode; returns the state: place and speed of the cart and of the pole."""
        self.state = [random.uniform(-0.05, 0.05) for _ in range(4)]
        self.steps = 0
        return self.state

    def step(self, action):
        """Push right (1) or left (0); returns (state, reward, whether the episode is over)."""
        x, speed, angle, turning = self.state
        force = 10.0 if action else -10.0
        sine, cosine = math.sin(angle), math.cos(angle)
        push = (force + 0.05 * turning**2 * sine) / 1.1
        tilt = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        thrust = push - 0.05 * tilt * cosine / 1.1
        self.state = [
            x + 0.02 * speed, speed + 0.02 * thrust, angle + 0.02 * turning, turning + 0.02 * tilt
        ]  # fmt: skip
        self.steps += 1
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > math.radians(12)
        return self.state, 1.0, fallen or self.steps == self.LONGEST


@torch.no_grad()
def play(environment, policy, device):
    """The states, the actions taken in them, and the rewards, of one episode."""
    state, over = environment.reset(), False
    states, actions, rewards = [], [], []
    while not over:
        states.append(state)
        logits = policy(torch.tensor(state, device=device))
        actions.append(Categorical(logits=logits.cpu()).sample().item())
        state, reward, over = environment.step(actions[-1])
        rewards.append(reward)
    return torch.tensor(states), torch.tensor(actions), rewards


def returns(rewards, discount=0.99):
    """What each action was followed by, discounted, with mean 0 and deviation 1."""
    total, found = 0.0, []
    for reward in reversed(rewards):
        total = reward + discount * total
        found.append(total)
    found = torch.tensor(found[::-1])
    return (found - found.mean()) / (found.std() + 1e-9)


def filled(x):
    """``x`` with zeros up to the longest episode: what weighs nothing teaches nothing."""
    return torch.cat([x, x.new_zeros(CartPole.LONGEST - len(x), *x.shape[1:])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--episodes", type=int, default=150, help="episodes to play")
    options = parser.parse_args()
    device = torch.device(options.device)

    random.seed(0)
    torch.manual_seed(0)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2)).to(device)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.005)
    environment = CartPole()

    def step(states, actions, weights):
        chances = Categorical(logits=policy(states)).log_prob(actions)
        loss = -(chances * weights).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    lengths, losses = [], []
    for episode in range(1, options.episodes + 1):
        states, actions, rewards = play(environment, policy, device)
        given = [filled(x).to(device) for x in (states, actions, returns(rewards))]
        loss = step(*given)
        lengths.append(len(rewards))
        losses.append(loss.item())
        if episode % 25 == 0:
            mean = sum(lengths[-25:]) / 25
            print(f"episode {episode}: {mean:.1f} steps, loss {sum(losses[-25:]) / 25:.4f}")


if __name__ == "__main__":
    main()
