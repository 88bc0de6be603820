"""Trainings over seeds as tables: the whole job on a dataset, variants against each other, grids, the shortcut audit.

May import everything that trains and scores. The tables of the paper are for `mgdmkit.replication`.
"""
