"""Everything that learns: the loop, MGDM on cached features, fine-tuning behind CLIP, and the small CLIP from scratch.

May import evaluation and all below it. Which trainings are compared is for `mgdmkit.experiments`.
"""
