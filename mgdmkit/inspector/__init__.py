"""The hard-negative inspector: a widget that shows a video with what CLIP confuses it with, and keeps what is judged.

May import everything below the shell but the paper's tables. Nothing imports it.
"""

from mgdmkit.inspector.inspection import Inspection, Question
from mgdmkit.inspector.widget import HardNegativeInspector
