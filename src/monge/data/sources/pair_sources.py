"""The data sets of captions and clips that monge knows by name and that lie in a folder of the user's."""

from __future__ import annotations

from monge.data.sources.source import Source

_FEATURES = "and beside them features of the clips in features/EXPERT.npz, of the captions in text.npz"
PAIR_SOURCES = (
    Source(
        name="msrvtt",
        title="MSR-VTT: clips to be found by captions, features extracted beforehand; full split",
        kinds=("path", "synthetic"),
        size="10,000 clips (6,513 / 497 / 2,990), 200,000 captions",
        licence="see its page; the clips are their owners'",
        how=f"--data FOLDER with MSRVTT_data.json, or the files of the collaborative experts, {_FEATURES}",
    ),
    Source(
        name="msrvtt-1ka",
        title="MSR-VTT, split 1k-A: one given caption for each test clip",
        kinds=("path", "synthetic"),
        size="9,000 / 1,000 clips",
        licence="see its page; the clips are their owners'",
        how="--data FOLDER as for msrvtt, with MSRVTT_JSFUSION_test.csv and MSRVTT_train.9k.csv",
    ),
    Source(
        name="msrvtt-1kb",
        title="MSR-VTT, split 1k-B: the first caption of each test clip",
        kinds=("path", "synthetic"),
        size="6,656 / 1,000 clips",
        licence="see its page; the clips are their owners'",
        how="--data FOLDER as for msrvtt, with train_list_miech.txt and test_list_miech.txt",
    ),
    Source(
        name="didemo",
        title="DiDeMo: clips to be found by paragraphs, features extracted beforehand",
        kinds=("path", "synthetic"),
        size="8,395 / 1,065 / 1,004 clips",
        licence="see its page; the clips are their owners'",
        how=f"--data FOLDER with train_data.json, val_data.json and test_data.json, {_FEATURES}",
    ),
    Source(
        name="charades-sta",
        title="Charades-STA: clips to be found by sentences, features extracted beforehand",
        kinds=("path", "synthetic"),
        size="12,408 / 3,720 sentences",
        licence="for research that is not commercial (the clips)",
        how=f"--data FOLDER with charades_sta_train.txt and charades_sta_test.txt, {_FEATURES}",
    ),
    Source(
        name="rudder",
        title="RUDDER: clips to be found by captions in six languages of India",
        kinds=("path", "synthetic"),
        size="a tenth of MSR-VTT",
        licence="see its page",
        how=f"--data FOLDER with captions.json in the form that docs/text_video.md shows, {_FEATURES}",
    ),
    Source(
        name="features",
        title="pairs of one's own as extracted features: captions and clips, or any two things",
        kinds=("path", "synthetic"),
        size="as large as memory",
        licence="its owner's",
        how="--data FOLDER with queries.npz, gallery.npz and pairs.csv, or captions.json and features",
    ),
)
