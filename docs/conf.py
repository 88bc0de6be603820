"""Sphinx's settings for the site that `make site` builds; `docs/make_site.py` stages the pages that they are for."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project, author, language = "mgdmkit", "The mgdmkit authors", "en"
html_title = "mgdmkit"
root_doc = "index"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's machine is set
html_math_renderer = "mathml"
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "home_page_in_toc": False,
    "navbar_persistent": [],  # its search field stands in the sidebar, too
}

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would come from the network

suppress_warnings = ["toc.not_included"]  # tables: pages link to them
default_role = "code"  # what stands between single backticks in a docstring
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"


def mathml(tex: str, block: bool) -> str:
    """MathML needs neither network nor script."""
    tex = re.sub(r"\\[bB]igg?(?![a-zA-Z])", "", tex).replace(r"\dots", r"\ldots")  # here fences grow by themselves
    tex = re.sub(r"(\\(?:bar|hat) ?\w)(?=[_^])", r"\1{}", tex)  # else docutils sets the index under the letter
    return tex2mathml(tex, as_block=block)


def visit_math(translator, node) -> None:
    translator.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_math_block(translator, node) -> None:
    translator.body.append(f'<div class="math">{mathml(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
