"""Graph networks (GCN, GAT, SAGE, GIN, own messages …), and one that pools whole graphs."""

requires = ["torch_geometric"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    import torch.nn.functional as F
    from torch_geometric.data import Batch, Data
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import (
        GATConv,
        GATv2Conv,
        GCNConv,
        GINConv,
        GraphNorm,
        MessagePassing,
        SAGEConv,
        Sequential,
        TopKPooling,
        TransformerConv,
        global_add_pool,
        global_max_pool,
        global_mean_pool,
    )
    from torch_geometric.transforms import AddSelfLoops, ToUndirected
    from torch_geometric.utils import (
        degree,
        erdos_renyi_graph,
        softmax,
        to_dense_adj,
        to_undirected,
    )

    class Edge(MessagePassing):
        def __init__(self, before, after):
            super().__init__(aggr="max")
            self.mlp = torch.nn.Sequential(
                torch.nn.Linear(2 * before, after), torch.nn.ReLU(), torch.nn.Linear(after, after)
            )

        def forward(self, x, edge_index):
            return self.propagate(edge_index, x=x)

        def message(self, x_i, x_j):
            return self.mlp(torch.cat([x_i, x_j - x_i], dim=-1))

    results = {}
    edges = to_undirected(erdos_renyi_graph(40, 0.1))
    x, y = torch.randn(40, 6), torch.randint(0, 3, (40,))
    layers = {
        "gcn": lambda a, b: GCNConv(a, b),
        "gat": lambda a, b: GATConv(a, b, heads=2, concat=False),
        "gatv2": lambda a, b: GATv2Conv(a, b, heads=2, concat=False, edge_dim=None),
        "sage": lambda a, b: SAGEConv(a, b, aggr="mean"),
        "gin": lambda a, b: GINConv(torch.nn.Linear(a, b)),
        "transformer": lambda a, b: TransformerConv(a, b),
        "own": Edge,
    }
    for name, layer in layers.items():
        first, second = layer(6, 8), layer(8, 3)
        optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.01)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            out = second(F.relu(first(x, edges)), edges)
            loss = F.cross_entropy(out, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name] = [losses, out]

    graphs = []
    for i in range(12):
        n = 5 + i % 4
        graph = Data(
            x=torch.randn(n, 4), edge_index=erdos_renyi_graph(n, 0.4), y=torch.tensor([i % 2])
        )
        graphs.append(AddSelfLoops()(ToUndirected()(graph)))
    net = Sequential(
        "x, edge_index, batch",
        [
            (GCNConv(4, 8), "x, edge_index -> x"),
            (GraphNorm(8), "x, batch -> x"),
            torch.nn.ReLU(),
            (GCNConv(8, 8), "x, edge_index -> x"),
        ],
    )
    head, pool = torch.nn.Linear(24, 2), TopKPooling(8, ratio=0.5)
    optimizer = torch.optim.AdamW(
        [*net.parameters(), *head.parameters(), *pool.parameters()], lr=0.01
    )
    losses = []
    for _ in range(3):
        for batch in DataLoader(graphs, batch_size=4, shuffle=True):
            optimizer.zero_grad()
            hidden = net(batch.x, batch.edge_index, batch.batch)
            hidden, _, _, which, _, _ = pool(hidden, batch.edge_index, None, batch.batch)
            pooled = [
                f(hidden, which) for f in (global_mean_pool, global_max_pool, global_add_pool)
            ]
            loss = F.cross_entropy(head(torch.cat(pooled, 1)), batch.y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    results["pooled"] = losses
    batch = Batch.from_data_list(graphs)
    results["batch"] = [
        batch.ptr,
        batch.num_nodes,
        to_dense_adj(batch.edge_index, batch.batch).sum(),
        str(batch),
    ]
    results["degree"] = degree(edges[0], 40)
    results["softmax"] = softmax(x[edges[0], 0], edges[1], num_nodes=40)
    return results
