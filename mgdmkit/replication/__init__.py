"""The paper's tables and its Figure 5: recipes, what filling a table would take, its rows, and the tables themselves.

May import everything below the shell but the inspector.
"""
