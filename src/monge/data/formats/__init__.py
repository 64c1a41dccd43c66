"""Readers of the field's files: strict, bounded in memory, never unpickling freely."""

from monge.data.formats.cifar import Cifar as Cifar
from monge.data.formats.cifar import read_cifar as read_cifar
from monge.data.formats.csv_table import read_csv_table as read_csv_table
from monge.data.formats.idx import read_idx as read_idx
from monge.data.formats.idx import read_idx_pair as read_idx_pair
from monge.data.formats.idx import write_idx as write_idx
from monge.data.formats.mnist_files import find_mnist_files as find_mnist_files
from monge.data.formats.parquet_table import read_parquet_table as read_parquet_table
from monge.data.formats.pickles import load_pickle as load_pickle
from monge.data.formats.table import Table as Table

__all__ = [
    "Cifar",
    "Table",
    "find_mnist_files",
    "load_pickle",
    "read_cifar",
    "read_csv_table",
    "read_idx",
    "read_idx_pair",
    "read_parquet_table",
    "write_idx",
]
