"""The backbone: frozen CLIP as open_clip has it, whose weights it holds, and what it computes, kept on disk.

May import data and runs. Training CLIP is for `mgdmkit.training`.
"""

from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import CorpusTexts, Features, corpus_texts, encode_texts, extract_features, load_features
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.clip.weights import ClipWeightsError, ClipWeightsWarning
