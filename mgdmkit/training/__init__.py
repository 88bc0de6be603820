"""Everything that learns: the loop, MGDM on cached features, fine-tuning behind CLIP, and the small CLIP from scratch.

May import evaluation and all below it. Which trainings are compared is for `mgdmkit.experiments`.
"""

from mgdmkit.runs.processes import autocast_dtype
from mgdmkit.training.augment import Clips, RandomView
from mgdmkit.training.finetuning import finetune, finetuned_features
from mgdmkit.training.loop import Videos, choose_groups, train
from mgdmkit.training.optim import learning_rate, parameter_groups
from mgdmkit.training.pretraining import PretrainConfig, pretrain
