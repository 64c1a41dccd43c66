"""Data: readers of the field's files, packaged and synthetic data sets, samplers and augmentation."""

from monge.data.cache import cache_dir as cache_dir
from monge.data.examples import Examples as Examples
from monge.data.examples import Splits as Splits
from monge.data.face_pairs import FaceSplits as FaceSplits
from monge.data.face_pairs import PairSet as PairSet
from monge.data.faces import load_faces as load_faces
from monge.data.faces import load_pair_set as load_pair_set
from monge.data.feature_set import FeatureSet as FeatureSet
from monge.data.image_files import ImageFiles as ImageFiles
from monge.data.images import ImageSet as ImageSet
from monge.data.pairs import load_pairs as load_pairs
from monge.data.shapes import load_shapes as load_shapes
from monge.data.sketch_shapes import load_sketch_shapes as load_sketch_shapes
from monge.data.sources import Source as Source
from monge.data.sources import check as check
from monge.data.sources import fetch as fetch
from monge.data.sources import folder_of as folder_of
from monge.data.sources import is_cached as is_cached
from monge.data.sources import list_sources as list_sources
from monge.data.sources import load_images as load_images
from monge.data.sources import make as make
from monge.data.sources import options_of as options_of
from monge.data.tables import TableSet as TableSet
from monge.data.tables import load_table as load_table

__all__ = [
    "Examples",
    "FaceSplits",
    "FeatureSet",
    "ImageFiles",
    "ImageSet",
    "PairSet",
    "Source",
    "Splits",
    "TableSet",
    "cache_dir",
    "check",
    "fetch",
    "folder_of",
    "is_cached",
    "list_sources",
    "load_faces",
    "load_images",
    "load_pair_set",
    "load_pairs",
    "load_shapes",
    "load_sketch_shapes",
    "load_table",
    "make",
    "options_of",
]
