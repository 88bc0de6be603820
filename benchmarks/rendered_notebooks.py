"""Small pages of the executed notebooks of a demo run, for reading without running anything.

    python benchmarks/rendered_notebooks.py --executed runs/demo/notebooks --out results/rendered

Run it in the folder that the notebooks ran from: paths are shown from there on. All pages together stay under 3 MB:
pictures keep 1,000 pixels of width and 96 colours; `make demo` itself leaves larger ones with every pixel. Formulas are
drawn by MathJax from the network; without it they show as TeX.
"""

import base64
import io
from pathlib import Path

import nbformat
import tyro
from nbconvert import HTMLExporter
from PIL import Image
from pygments.formatters import HtmlFormatter

from mgdmkit.config import write_text_atomic

WIDTH, COLOURS = 1000, 96
MATHJAX = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.7/latest.js?config=TeX-AMS_CHTML-full,Safe"
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>mgdmkit: {title}</title>
<style>
  body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 58rem; margin: 0 auto; padding: 1rem; color: #222; }}
  h1, h2, h3 {{ line-height: 1.25; }}  img, video {{ max-width: 100%; }}  .jp-InputPrompt, .jp-OutputPrompt,
  .prompt, .anchor-link {{ display: none; }}  blockquote {{ border-left: 3px solid #ccc; margin-left: 0;
  padding-left: 1rem; }}
  pre {{ white-space: pre-wrap; padding: .5rem .7rem; margin: .3rem 0; font-size: .85rem; line-height: 1.4; }}
  .highlight {{ background: #f6f6f4; border-radius: 5px; }}  table {{ border-collapse: collapse; font-size: .85rem; }}
  th, td {{ padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }}
  {highlighting}
</style>
<script async src="{mathjax}"></script>
<p><a href="https://docs.jupyter.org">Jupyter</a> notebook <a href="../../notebooks/{name}.ipynb">{name}</a>, executed
by <code>make demo</code>.</p>
{body}
</html>
"""


def main(executed: Path = Path("runs/demo/notebooks"), out: Path = Path("results/rendered")) -> None:
    """Write a page for each executed notebook.

    Args:
        executed: Folder of the executed notebooks.
        out: Folder of the pages.
    """
    exporter, total = HTMLExporter(template_name="basic"), 0
    for path in sorted(executed.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.pop("widgets", None)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                shrink(output.get("data", {}))
        body, _ = exporter.from_notebook_node(notebook)
        body = body.replace('href="solutions/', 'href="../../notebooks/solutions/').replace(f"{Path.cwd()}/", "")
        style = HtmlFormatter(style="default").get_style_defs(".highlight")
        page = PAGE.format(title=path.stem, name=path.stem, body=body, highlighting=style, mathjax=MATHJAX)
        write_text_atomic(out / f"{path.stem}.html", page)
        total += len(page.encode())
        print(f"{out / path.stem}.html: {len(page.encode()) / 1e3:.0f} kB")
    print(f"{out}: {total / 1e6:.2f} MB")


def shrink(data: dict[str, str]) -> None:
    """Fewer pixels and colours for a PNG; a video leaves its place to the picture beside it."""
    if "image/png" in data:
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
        if picture.width > WIDTH:
            picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.quantize(COLOURS).save(buffer, "png", optimize=True)
        data["image/png"] = base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    tyro.cli(main)
