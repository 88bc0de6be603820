"""Clips on disk and labels in words: which there are, whether they are sound, and which frames a model sees of them.

Knows no network: what is read, made and checked here needs no weights.
"""

from mgdmkit.data.cards import DATASETS, dataset_card, dataset_classes
from mgdmkit.data.check import check_manifest
from mgdmkit.data.corpus import label_list, mining_corpus, prompts, read_corpus, union, write_corpus
from mgdmkit.data.exclusions import locate, near_duplicates, read_exclusions
from mgdmkit.data.folder import manifest_from_folder
from mgdmkit.data.judgements import Judgements
from mgdmkit.data.manifest import Manifest, ManifestError, read_manifest, write_manifest
from mgdmkit.data.video import VideoError, count_frames, decord_frames, read_frames, read_segments, segment_indices
