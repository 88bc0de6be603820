"""What every run needs: folders that say what made them and continue, and several processes that share the work.

May import config and the method. Nothing here knows a dataset or CLIP.
"""
