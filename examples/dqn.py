"""A deep Q-network finds its way through a maze with pits.

The learner sees a grid with walls, pits and a goal, and where it is. Past moves are kept in a
replay memory; the network learns from random ones, towards values that a slowly following copy of
it gives.
"""

import argparse
import random
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

# One different move changes all that follows: double precision keeps runs comparable.
torch.set_default_dtype(torch.float64)

MAZE = [
    "S..#...",
    ".#.#.#.",
    ".#...#.",
    ".##o##.",
    "......G",
]
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
ARROWS = "↑↓←→"
DISCOUNT = 0.97


class Maze:
    """Walls (#) stop a move, a pit (o) ends the episode with -1, the goal (G) with +1."""

    rows, columns = len(MAZE), len(MAZE[0])
    longest = 60

    def reset(self):
        """Begin at S; returns the state."""
        self.place, self.steps = (0, 0), 0
        return self.place

    def step(self, action):
        """Make a move; returns (state, reward, whether the episode is over)."""
        row, column = [p + d for p, d in zip(self.place, MOVES[action], strict=True)]
        inside = 0 <= row < self.rows and 0 <= column < self.columns
        if inside and MAZE[row][column] != "#":
            self.place = (row, column)
        self.steps += 1
        here = MAZE[self.place[0]][self.place[1]]
        reward = {"G": 1.0, "o": -1.0}.get(here, -0.02)
        return self.place, reward, here in "Go"


def observe(places):
    """What the network sees of each place: one-hot row and column."""
    rows = F.one_hot(places[:, 0], Maze.rows)
    columns = F.one_hot(places[:, 1], Maze.columns)
    return torch.cat([rows, columns], dim=1).to(torch.get_default_dtype())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--episodes", type=int, default=160, help="episodes to play")
    options = parser.parse_args()
    device = torch.device(options.device)

    random.seed(0)
    torch.manual_seed(0)
    maze, memory = Maze(), deque(maxlen=5000)
    network, target = (
        nn.Sequential(nn.Linear(Maze.rows + Maze.columns, 64), nn.ReLU(), nn.Linear(64, 4)).to(
            device
        )
        for _ in range(2)
    )
    target.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)

    def step(states, actions, rewards, following, over):
        with torch.no_grad():  # the double form: one network chooses, the other judges
            choices = network(observe(following)).argmax(dim=1, keepdim=True)
            ahead = target(observe(following)).gather(1, choices).squeeze(1)
        values = network(observe(states)).gather(1, actions.unsqueeze(1)).squeeze(1)
        loss = F.smooth_l1_loss(values, rewards + DISCOUNT * ahead * ~over)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, 0.02)
        return loss

    if options.compile:
        step = torch.compile(step)

    scores, losses = [], []
    for episode in range(1, options.episodes + 1):
        state, over, score = maze.reset(), False, 0.0
        curiosity = max(0.05, 1 - episode / 80)
        while not over and maze.steps < maze.longest:
            if random.random() < curiosity:
                action = random.randrange(4)
            else:
                with torch.no_grad():
                    place = torch.tensor([state], device=device)
                    action = network(observe(place)).argmax().item()
            following, reward, over = maze.step(action)
            memory.append((state, action, reward, following, over))
            state, score = following, score + reward
            if len(memory) >= 64:
                batch = zip(*random.sample(memory, 64), strict=True)
                given = [torch.tensor(column, device=device) for column in batch]
                losses.append(step(*given).item())
        scores.append(score)
        if episode % 20 == 0:
            mean_loss = sum(losses[-500:]) / len(losses[-500:])
            print(f"episode {episode}: score {sum(scores[-20:]) / 20:.3f}, loss {mean_loss:.2e}")

    print("the way it goes from each place:")
    for row, line in enumerate(MAZE):
        places = torch.tensor([(row, column) for column in range(len(line))], device=device)
        moves = network(observe(places)).argmax(dim=1)
        print("".join(c if c in "#oG" else ARROWS[m] for c, m in zip(line, moves, strict=True)))


if __name__ == "__main__":
    main()
