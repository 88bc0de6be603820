"""What every run needs: folders that say what made them and continue, and several processes that share the work.

May import config and the method. Nothing here knows a dataset or CLIP.
"""

from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.processes import choose_device
from mgdmkit.runs.trained import load_model, new_model, read_history, read_run
