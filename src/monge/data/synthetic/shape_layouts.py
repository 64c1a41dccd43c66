"""Writes furniture of boxes and turned parts in the layouts of ModelNet and SHREC, with the quirks of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from monge.data.formats.shrec import EDITIONS
from monge.data.synthetic.parametric_shapes import SHAPES, PolygonMesh, draw_edges, make_shape
from monge.errors import MongeError
from monge.extras import require


def write_off(path: Path, mesh: PolygonMesh, *, glued: bool = False) -> None:
    """Writes a mesh as OFF.

    Args:
        path: Where to; its folder is made.
        mesh: What to write.
        glued: Put the counts on the first line, right after ``OFF``, as many files of ModelNet have it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "vase.off"
        >>> write_off(file, make_shape("vase", np.random.default_rng(0)), glued=True)
        >>> file.read_text().split("\\n")[0]
        'OFF60 68 0'
    """
    lines = ["OFF" + ("" if glued else "\n") + f"{len(mesh.vertices)} {len(mesh.faces)} 0"]
    lines += [" ".join(f"{number:.6g}" for number in vertex) for vertex in mesh.vertices.tolist()]
    lines += [" ".join(map(str, (len(face), *face))) for face in mesh.faces]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_wrl(path: Path, mesh: PolygonMesh) -> None:
    """Writes a mesh as one face set of flat VRML 2, in the manner of KiCad's exporter.

    Args:
        path: Where to; its folder is made.
        mesh: What to write.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "vase.wrl"
        >>> write_wrl(file, make_shape("vase", np.random.default_rng(0)))
        >>> file.read_text().split("\\n")[0]
        '#VRML V2.0 utf8'
    """
    faces = ",".join(f"{','.join(map(str, face))},-1" for face in mesh.faces)
    points = ",".join(" ".join(f"{number:.3f}" for number in vertex) for vertex in mesh.vertices.tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    material = "material DEF PIN-01 Material {\n\t\tdiffuseColor 0.8 0.8 0.7\n\t\t}"
    path.write_text(
        "#VRML V2.0 utf8\n#kicad StepUp wrl exported\n\n"
        f"Shape {{\n\tappearance Appearance {{{material}\n\t}}\n}}\n"
        f"Shape {{ geometry IndexedFaceSet \n{{ creaseAngle 0.50 coordIndex [{faces}]\n"
        f"coord Coordinate {{ point [{points}]\n}}}}\nappearance Appearance{{material USE PIN-01 }}\n}}\n"
    )


def write_fake_kicad(folder: str | Path, models: Sequence[str], seed: int = 0) -> None:
    """Writes the libraries of KiCad with turned parts and boxes in the place of the models.

    Args:
        folder: Where to put the libraries.
        models: ``"Library.3dshapes/model.wrl"`` of each.
        seed: Seed of the proportions.

    Example:
        >>> import tempfile
        >>> write_fake_kicad(root := tempfile.mkdtemp(), ["LED_THT.3dshapes/LED_D3.0mm.wrl"])
        >>> [path.name for path in Path(root).rglob("*.wrl")]
        ['LED_D3.0mm.wrl']
    """
    names = list(SHAPES)
    for number, model in enumerate(models):
        random = np.random.default_rng([seed, number])
        write_wrl(Path(folder) / model, make_shape(names[number % len(names)], random))


def write_fake_modelnet(folder: str | Path, *, classes: int = 10, train: int = 6, test: int = 3, seed: int = 0) -> None:
    """Writes ``ModelNet10`` (``ModelNet40`` for more than ten classes) with glued headers and what macOS leaves.

    Args:
        folder: Where to put that folder.
        classes: How many, up to 12.
        train: Models of each to train with.
        test: Models of each to test with.
        seed: Seed of the proportions.

    Raises:
        MongeError: More classes than there are.

    Example:
        >>> import tempfile
        >>> write_fake_modelnet(root := tempfile.mkdtemp(), classes=2, train=1, test=1)
        >>> sorted(path.name for path in Path(root).rglob("[!.]*.off"))
        ['bathtub_0001.off', 'bathtub_0002.off', 'bed_0001.off', 'bed_0002.off']
    """
    place = Path(folder) / ("ModelNet10" if classes <= 10 else "ModelNet40")
    for number, name in enumerate(_names(classes)):
        for model in range(train + test):
            random = np.random.default_rng([seed, number, model])
            mesh = make_shape(name, random)
            # Sizes of the real ones differ by orders of magnitude, and so do the places they stand in.
            vertices = mesh.vertices * 10 ** random.uniform(0, 3) + random.normal(0, 50, 3)
            file = place / name / ("train" if model < train else "test") / f"{name}_{model + 1:04d}.off"
            write_off(file, PolygonMesh(vertices, mesh.faces), glued=model % 3 == 0)
        (place / name / "train" / f"._{name}_0001.off").write_bytes(b"\0\5\x16\7")
    (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    litter = Path(folder) / "__MACOSX" / place.name
    litter.mkdir(parents=True, exist_ok=True)
    (litter / "._README.txt").write_bytes(b"\0\5\x16\7")


def write_fake_shrec(
    folder: str | Path,
    edition: Literal["shrec13", "shrec14"],
    *,
    classes: int = 6,
    train: int = 5,
    test: int = 3,
    models: int = 3,
    size: int = 128,
    doubled: bool = True,
    seed: int = 0,
) -> None:
    """Writes SHREC'13 or SHREC'14: drawings by class and part, models in one folder, and the class files.

    Args:
        folder: Where to put its folders.
        edition: ``"shrec13"`` or ``"shrec14"``.
        classes: How many, up to 12.
        train: Drawings of each to train with.
        test: Drawings of each to test with.
        models: Models of the first class; the last has twice as many, for real classes differ in size.
        size: Height and width of a drawing; 1111 in the real ones.
        doubled: Whether the folder of the drawings holds another of its name, as the archives may unpack.
        seed: Seed of proportions and pens.

    Raises:
        MongeError: More classes than there are.

    Example:
        >>> import tempfile
        >>> write_fake_shrec(root := tempfile.mkdtemp(), "shrec14", classes=2, train=1, test=1, models=1)
        >>> sorted(path.name for path in Path(root).iterdir())
        ['SHREC14LSSTB_SKETCHES', 'SHREC14LSSTB_TARGET_MODELS', 'SHREC14_Sketch_Evaluation']
    """
    place, layout, names = Path(folder), EDITIONS[edition], _names(classes)
    old = edition == "shrec13"
    random = np.random.default_rng([seed, 1])
    counts = {name: models + models * number // max(1, classes - 1) for number, name in enumerate(names)}
    # Ids are scattered over the classes.
    numbers = iter((random.permutation(sum(counts.values())) + 1).tolist())
    ids = {name: [f"{next(numbers)}" if old else f"{next(numbers):06d}" for _ in range(counts[name])] for name in names}
    for name, own in ids.items():
        for one in own:
            file = f"models/m{one}.off" if old else f"M{one}.off"
            write_off(place / layout.models / file, make_shape(name, random))
    sketches: dict[str, dict[str, list[str]]] = {"Train": {}, "Test": {}}
    running = 0
    images = require("PIL.Image", extra="train", purpose="writing sketches")
    for name in names:
        for root, part, count in zip(layout.sketches, sketches, (train, test)):
            inner = place / root / root if doubled else place / root
            target = inner / name / part.lower()
            target.mkdir(parents=True, exist_ok=True)
            sketches[part][name] = [str(running + step + 1) for step in range(count)]
            running += count
            for one in sketches[part][name]:
                images.fromarray(draw_edges(make_shape(name, random), random, size)).save(target / f"{one}.png")
    _write_classes(place / layout.evaluation, edition, ids, sketches)


def _write_classes(
    folder: Path, edition: str, models: dict[str, list[str]], sketches: dict[str, dict[str, list[str]]]
) -> None:
    """The class files of models and sketches; those of SHREC'13 with line ends of Windows and blanks after names."""
    folder.mkdir(parents=True, exist_ok=True)
    old = edition == "shrec13"
    every = {name: sketches["Train"][name] + sketches["Test"][name] for name in models}
    for part, members in {
        "Model": models,
        "Sketch_Train": sketches["Train"],
        "Sketch_Test": sketches["Test"],
        "Sketch": every,
    }.items():
        lines = ["PSB 1", f"{len(members)} {sum(map(len, members.values()))}", ""]
        for name, ids in members.items():
            lines += [f"{name}\t0\t{len(ids)} " if old else f"{name} 0 {len(ids)}", *ids, ""]
        end = "\r\n" if old else "\n"
        (folder / f"{edition.upper()}_SBR_{part}.cla").write_bytes((end.join(lines) + end).encode())


def _names(classes: int) -> tuple[str, ...]:
    if not 1 <= classes <= len(SHAPES):
        raise MongeError(f"classes: found {classes}, expected 1 to {len(SHAPES)}, as many as there are shapes")
    return SHAPES[:classes]
