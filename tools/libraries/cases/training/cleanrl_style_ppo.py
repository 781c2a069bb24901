"""PPO in a single file, as CleanRL writes it, on CartPole: rollouts and clipped updates."""

requires = ["gymnasium"]


def run():
    """Return rewards, losses and the agent's weights."""
    import gymnasium as gym
    import numpy as np
    import torch
    from torch import nn
    from torch.distributions.categorical import Categorical
    from torch.utils.tensorboard import SummaryWriter

    def layer(inputs, outputs, std=2**0.5):
        made = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(made.weight, std)
        nn.init.constant_(made.bias, 0.0)
        return made

    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.critic = nn.Sequential(layer(4, 32), nn.Tanh(), layer(32, 1, 1.0))
            self.actor = nn.Sequential(layer(4, 32), nn.Tanh(), layer(32, 2, 0.01))

        def act(self, x, action=None):
            chances = Categorical(logits=self.actor(x))
            if action is None:
                action = chances.sample()
            return action, chances.log_prob(action), chances.entropy(), self.critic(x).flatten()

    torch.manual_seed(1)
    np.random.seed(1)
    writer = SummaryWriter("runs/ppo")
    envs = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 4)
    agent = Agent()
    optimizer = torch.optim.Adam(agent.parameters(), 2.5e-3, eps=1e-5)
    steps, count, gamma, decay, clip = 32, 4, 0.99, 0.95, 0.2
    obs = torch.tensor(envs.reset(seed=1)[0])
    done = torch.zeros(count)
    found = {"losses": [], "reward": []}
    for update in range(6):
        optimizer.param_groups[0]["lr"] = (1 - update / 6) * 2.5e-3
        kept = {k: torch.zeros(steps, count) for k in ("logs", "rewards", "dones", "values")}
        seen, actions = torch.zeros(steps, count, 4), torch.zeros(steps, count)
        for t in range(steps):
            seen[t], kept["dones"][t] = obs, done
            with torch.no_grad():
                action, log, _, kept["values"][t] = agent.act(obs)
            actions[t], kept["logs"][t] = action, log
            state, reward, ended, cut, _ = envs.step(action.numpy())
            kept["rewards"][t] = torch.tensor(reward)
            obs, done = (
                torch.tensor(state),
                torch.tensor(np.logical_or(ended, cut), dtype=torch.float32),
            )
        with torch.no_grad():
            advantages, last, value, going = (
                torch.zeros(steps, count),
                0.0,
                agent.critic(obs).flatten(),
                1 - done,
            )
            for t in reversed(range(steps)):
                delta = kept["rewards"][t] + gamma * value * going - kept["values"][t]
                advantages[t] = last = delta + gamma * decay * going * last
                value, going = kept["values"][t], 1 - kept["dones"][t]
            returns = advantages + kept["values"]
        flat = [v.reshape(-1) for v in (actions, kept["logs"], advantages, returns, kept["values"])]
        order = np.arange(steps * count)
        for _ in range(3):
            np.random.shuffle(order)
            for part in np.split(order, 4):
                a, logs, adv, ret, old = (v[part] for v in flat)
                _, new, entropy, value = agent.act(seen.reshape(-1, 4)[part], a.long())
                ratio = (new - logs).exp()
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                policy = torch.max(-adv * ratio, -adv * ratio.clamp(1 - clip, 1 + clip)).mean()
                held = old + (value - old).clamp(-clip, clip)
                critic = 0.5 * torch.max((value - ret) ** 2, (held - ret) ** 2).mean()
                loss = policy - 0.01 * entropy.mean() + 0.5 * critic
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
        writer.add_scalar("losses/value_loss", critic.item(), update)
        writer.add_scalar("losses/explained", 1 - (ret - old).var() / ret.var(), update)
        found["losses"].append(loss.item())
        found["reward"].append(kept["rewards"].sum().item())
        found[f"episodes ended in round {update}"] = int(kept["dones"].sum())
    writer.close()
    return {**found, "actor": agent.actor[2].weight, "critic": agent.critic[0].weight}
