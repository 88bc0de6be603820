"""What a model is worth and what it costs: scores and their intervals, confidence, operations; a run that sees clips.

May import data, clip and runs, and nothing that trains: a training scores itself with what is here.
"""
