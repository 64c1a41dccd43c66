"""Look inside a batch: which pairs does the transport plan weigh most, and how does epsilon sharpen it?

python examples/hard_pairs.py
"""

import torch

from monge.losses import batchwise_ot_weights, diagnose_plan

torch.manual_seed(0)
labels = torch.arange(40) % 8
centres = torch.nn.functional.normalize(torch.randn(8, 32), dim=1)
embeddings = torch.nn.functional.normalize(centres[labels] + 0.12 * torch.randn(40, 32), dim=1)

terms = batchwise_ot_weights(embeddings, labels)
weights = terms.plan * terms.support.sum()  # 1 is the weight of every pair under a uniform plan
print("heaviest pairs, in multiples of a uniform weight:")
for place in weights.triu().flatten().topk(6).indices.tolist():
    i, j = divmod(place, 40)
    kind = "same class, apart" if terms.same[i, j] else "two classes, close"
    print(f"  {i:2d} - {j:2d}  {weights[i, j]:5.2f}x  {kind}, cost {terms.cost[i, j]:.2f}")

print("\nepsilon  entropy  mass on hard pairs")
for epsilon in (10.0, 1.0, 0.2, 0.05):
    sharper = batchwise_ot_weights(embeddings, labels, epsilon=epsilon)
    found = diagnose_plan(sharper.plan, sharper.cost, sharper.support)
    print(f"{epsilon:7g}  {found.entropy:7.3f}  {found.hard_mass:.1%} on {found.hard_pairs:.1%} of the pairs")
