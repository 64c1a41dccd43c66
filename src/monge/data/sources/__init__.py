"""Which data sets there are, how to get them, and how they become images and splits."""

from monge.data.sources.registry import Source as Source
from monge.data.sources.registry import check as check
from monge.data.sources.registry import fetch as fetch
from monge.data.sources.registry import folder_of as folder_of
from monge.data.sources.registry import is_cached as is_cached
from monge.data.sources.registry import list_sources as list_sources
from monge.data.sources.registry import load_images as load_images
from monge.data.sources.registry import make as make
from monge.data.sources.registry import options_of as options_of

__all__ = ["Source", "check", "fetch", "folder_of", "is_cached", "list_sources", "load_images", "make", "options_of"]
