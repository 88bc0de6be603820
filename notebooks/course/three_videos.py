"""The batch of lesson 03: three videos and k = 2, with made-up cosines that one can check with a pocket calculator."""

import torch

names = ["opening a fridge", "closing a fridge", "flying a kite", "stirring a pot"]
names += ["wiping a shelf", "cutting bread", "throwing a ball", "waving"]
video_labels = torch.tensor([0, 1, 2])
groups = torch.tensor([[0, 1, 3], [1, 4, 5], [2, 6, 7]])  # (l, g), each row [label, negative, negative]
cosines = torch.tensor(
    [
        [[0.32, 0.30, 0.22], [0.26, 0.20, 0.16], [0.05, 0.08, 0.02]],
        [[0.28, 0.27, 0.18], [0.33, 0.24, 0.15], [0.04, 0.06, 0.01]],
        [[0.06, 0.04, 0.03], [0.05, 0.02, 0.03], [0.30, 0.25, 0.18]],
    ]
)  # (b, l, g)
logits = cosines / 0.1
rows, columns = ["opening", "closing", "kite"], [names[c] for c in groups.flatten()]
