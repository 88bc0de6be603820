"""StickActions, the dataset that the kit draws: stick people at work in six places, as real video files.

Like any other dataset it is read through its manifest.
"""

from mgdmkit.stickactions.catalogue import LABELS, REVERSED, SCENES, reverse_of, scene_numbers, scene_of
from mgdmkit.stickactions.dataset import StickActionsConfig, generate, render_clip, render_still
