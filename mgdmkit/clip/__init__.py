"""The backbone: frozen CLIP as open_clip has it, whose weights it holds, and what it computes, kept on disk.

May import data and runs. Training CLIP is for `mgdmkit.training`.
"""
