"""The paper's tables and its Figure 5: recipes, what filling a table would take, its rows, and the tables themselves.

May import everything below the shell but the inspector.
"""

from mgdmkit.replication.job import reproduce_table
from mgdmkit.replication.recipes import K_ROWS, MODULE_ROWS, Recipe, read_recipe, table_recipes
from mgdmkit.replication.settings import Options
from mgdmkit.replication.tables import write_comparison

__all__ = [
    "K_ROWS",
    "MODULE_ROWS",
    "Options",
    "Recipe",
    "read_recipe",
    "reproduce_table",
    "table_recipes",
    "write_comparison",
]
