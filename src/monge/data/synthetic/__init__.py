"""Generated data: always there, for tests, smoke runs and trying things out."""

from monge.data.synthetic.diamonds import draw_diamonds as draw_diamonds
from monge.data.synthetic.diamonds import write_fake_diamonds as write_fake_diamonds
from monge.data.synthetic.digits import draw_digits as draw_digits
from monge.data.synthetic.digits import synthetic_splits as synthetic_splits
from monge.data.synthetic.layouts import write_fake_cifar10 as write_fake_cifar10
from monge.data.synthetic.layouts import write_fake_cifar100 as write_fake_cifar100
from monge.data.synthetic.layouts import write_fake_mnist as write_fake_mnist

__all__ = [
    "draw_diamonds",
    "draw_digits",
    "synthetic_splits",
    "write_fake_cifar10",
    "write_fake_cifar100",
    "write_fake_diamonds",
    "write_fake_mnist",
]
