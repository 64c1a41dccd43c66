"""Train LeNet-5 with the batch-wise OT loss in a plain PyTorch loop, and rank the test digits.

python examples/plain_pytorch.py                # drawn digits, no download, half a minute
python examples/plain_pytorch.py packaged       # real digits, after `monge data get mnist`
"""

import sys

import torch
from torch.utils.data import DataLoader, TensorDataset

from monge import BatchwiseOTLoss
from monge.data import load_images
from monge.data.samplers import ClassBalancedBatchSampler
from monge.metrics import retrieval
from monge.nn import LeNet5

torch.manual_seed(0)
digits = load_images("mnist", sys.argv[1] if len(sys.argv) > 1 else "synthetic")
print("data:", digits.source)

sampler = ClassBalancedBatchSampler(digits.train.labels, classes_per_batch=10, samples_per_class=8, steps_per_epoch=25)
loader = DataLoader(TensorDataset(digits.train.images, digits.train.labels), batch_sampler=sampler)

model = LeNet5(embedding_dim=64)


def embed(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(model(images / 255), dim=1)


loss = BatchwiseOTLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(3):
    sampler.set_epoch(epoch)
    for images, labels in loader:
        value = loss(embed(images), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    plan = loss.diagnostics()
    print(f"epoch {epoch + 1}: loss {value.item():.4f}, mass on hard pairs {plan.hard_mass.item():.0%}")

model.eval()
with torch.no_grad():
    embeddings = torch.cat([embed(batch) for batch in digits.test.images.split(500)])
scores = retrieval(embeddings, query_labels=digits.test.labels)
print(f"test mAP {scores['map']:.3f}, nearest neighbour right {scores['nn']:.3f}")
