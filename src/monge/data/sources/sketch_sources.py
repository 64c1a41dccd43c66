"""The data sets of drawings and shapes that monge knows by name."""

from __future__ import annotations

from monge.data.sources.source import Source

_SHREC = "--data FOLDER with {folders}, unpacked side by side, of that year's track on retrieval by sketches (B. Li)"
SKETCH_SOURCES = (
    Source(
        name="sketch-furniture",
        title="furniture to be found by drawings: the icons of sketches, the 3D models of furniture, 16 classes",
        kinds=("packaged", "synthetic"),
        size="820 drawings, 474 models; what sketches and furniture take",
        licence="those of sketches and of furniture",
        how="monge data get sketch-furniture (fetches sketches and furniture)",
    ),
    Source(
        name="shrec13",
        title="SHREC'13: 3D models to be found by sketches, 90 classes",
        kinds=("path", "synthetic"),
        size="7,200 sketches, 1,258 models",
        licence="for academic research; see the track's page",
        how=_SHREC.format(
            folders="SHREC13_SBR_TRAINING_SKETCHES, SHREC13_SBR_TESTING_SKETCHES, SHREC13_SBR_TARGET_MODELS and "
            "SHREC2013_Sketch_Evaluation"
        ),
    ),
    Source(
        name="shrec14",
        title="SHREC'14: 3D models to be found by sketches, 171 classes",
        kinds=("path", "synthetic"),
        size="13,680 sketches, 8,987 models",
        licence="for academic research; see the track's page",
        how=_SHREC.format(folders="SHREC14LSSTB_SKETCHES, SHREC14LSSTB_TARGET_MODELS and SHREC14_Sketch_Evaluation"),
    ),
)
SKETCH_SHAPES = tuple(source.name for source in SKETCH_SOURCES)
"""Their names, which `monge.data.load_sketch_shapes` loads."""
