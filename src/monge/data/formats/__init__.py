"""Readers of the field's files: strict, bounded in memory, never unpickling freely."""

from monge.data.formats.cifar import Cifar as Cifar
from monge.data.formats.cifar import read_cifar as read_cifar
from monge.data.formats.idx import read_idx as read_idx
from monge.data.formats.idx import read_idx_pair as read_idx_pair
from monge.data.formats.idx import write_idx as write_idx
from monge.data.formats.mnist_files import find_mnist_files as find_mnist_files
from monge.data.formats.pickles import load_pickle as load_pickle

__all__ = ["Cifar", "find_mnist_files", "load_pickle", "read_cifar", "read_idx", "read_idx_pair", "write_idx"]
