"""Learn a matching: move one set of points onto another by the gradient of their transport value, in a batch.

python examples/matching_point_sets.py
"""

import torch

from monge import ot

torch.manual_seed(0)
angle = torch.rand(4, 60) * 2 * torch.pi
rings = torch.stack([angle.cos(), angle.sin()], dim=-1)  # (4, 60, 2)
points = (0.3 * torch.randn(4, 60, 2)).requires_grad_()
optimizer = torch.optim.Adam([points], lr=0.05)

potentials = None
for step in range(80):
    result = ot.sinkhorn(ot.pairwise_cost(points, rings), epsilon=0.02, init=potentials)
    potentials = result.potentials  # the next problem is close: start from here
    optimizer.zero_grad()
    result.value.sum().backward()
    optimizer.step()
    if step % 40 == 0 or step == 79:
        print(f"step {step:3d}: transport cost {result.cost.mean():.4f}, {int(result.iterations.max())} iterations")

print(f"exact cost at the end {ot.emd(ot.pairwise_cost(points.detach(), rings)).value.mean():.4f}")
