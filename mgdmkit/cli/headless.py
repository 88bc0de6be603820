"""Run the numbered notebooks without a browser, strictly, and put the results on one page.

papermill does the running. What is added here is strictness: a parameter that the notebook does not declare,
a value of another type, or a cell that ends the kernel early is an error, not a line in a log.
"""

import ast
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mgdmkit.cli.page import duration, notebook_state, source_cells, was_reached, write_index
from mgdmkit.files import write_text_atomic

KERNEL_ENV = {
    # A backend chosen for scripts (MPLBACKEND=Agg) would leave the executed notebooks without pictures.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
ACCEPTED = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}


class NotebookError(RuntimeError):
    """A notebook did not run to its end; the message says where, why, and where the executed copy is."""


def run_notebook(
    source: Path, output: Path, parameters: dict[str, Any], progress: dict[str, Any] | bool = False
) -> Path:
    """Execute `source` with `parameters`, write the executed copy to `output` and return its path.

    The kernel is the running interpreter and works in the folder of `source`. `output` grows cell by cell and
    stays there when a cell fails. `progress` is passed to papermill: `True`, or keywords for a tqdm bar.

    Raises:
        FileNotFoundError: `source` does not exist.
        ValueError: no cell tagged `parameters`, an undeclared parameter, or a value of another type.
        NotebookError: a cell failed, ended the kernel, or was never reached.
    """
    source, output = source.resolve(), output.resolve()
    check_parameters(source, parameters)
    papermill = _import("papermill")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    reason = "the kernel was asked to exit before the last cell"
    try:
        papermill.execute_notebook(
            source,
            output,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            kernel_manager_class=_own_kernel(),
            progress_bar=progress,
            cwd=source.parent,
        )
    except papermill.PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".strip()
    except Exception as error:  # a dead kernel, a kernel that does not start, a full disk
        reason = f"{type(error).__name__}: {error}".strip()
    else:
        if notebook_state(output)[0] == "ok":
            return output
    last_lines = "\n  ".join(reason.splitlines()[-6:])
    raise NotebookError(f"{source.name}, {_mark_failed(output)}:\n  {last_lines}\n  Executed copy: {output}")


def check_parameters(source: Path, parameters: dict[str, Any]) -> None:
    """Compare `parameters` with the cell tagged `parameters` of a notebook.

    Raises:
        FileNotFoundError: `source` does not exist.
        ValueError: no such cell, a name that is not in it, or a value of another type than declared there.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such notebook. Run from the project's root, or name its folder.")
    known = _import("papermill").inspect_notebook(source)
    if not known:
        raise ValueError(f"{source.name} has no cell tagged `parameters`: tag the cell that holds its settings.")
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f"{source.name} has no parameter {name!r}; it knows {', '.join(sorted(known))}.")
        declared = _declared_type(known[name])
        if declared not in ACCEPTED:
            raise ValueError(
                f"{source.name}: {name} is declared as {declared}; a parameter is {' or '.join(ACCEPTED)}."
            )
        # bool is a subclass of int, but seed=True is a slip.
        if not isinstance(value, ACCEPTED[declared]) or (isinstance(value, bool) and declared != "bool"):
            raise ValueError(
                f"{source.name}: {name} is declared as {declared}, got {value!r} ({type(value).__name__})."
            )


def run_all(notebooks: Path, out: Path, preset: str = "demo", only: Iterable[str] | None = None) -> Path:
    """Run every `NN_*.ipynb` of a folder in order and return the path of the page that shows the results.

    Each notebook gets the parameters `preset` and `root`: the absolute path of `out`, where data, features
    and runs live. Executed copies go to `out/notebooks` as .ipynb and .html. A failing notebook does not stop
    the next ones, since each makes what it misses. `only` picks by number or name: `["02", "04_ablation"]`.

    Raises:
        FileNotFoundError: the folder holds no numbered notebook.
        ValueError: `only` names none of them, or a notebook does not declare `preset` and `root`.
        NotebookError: some notebook failed; the page is written all the same.
    """
    notebooks, out = notebooks.resolve(), out.resolve()
    everything = sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
    chosen = choose(everything, only, notebooks)
    parameters = {"preset": preset, "root": str(out)}
    for source in chosen:  # all of them before the first one runs for minutes
        check_parameters(source, parameters)
    on_terminal = sys.stderr.isatty()
    failures: dict[str, str] = {}
    for number, source in enumerate(chosen, start=1):
        label = f"[{number}/{len(chosen)}] {source.stem}"
        bar = {"desc": label, "leave": False} if on_terminal else False
        if not on_terminal:  # there the bar says what is running, and would write over this line
            print(f"{label} ... ", end="", flush=True)
        executed, start = out / "notebooks" / source.name, time.perf_counter()
        try:
            run_notebook(source, executed, parameters, progress=bar)
        except NotebookError as error:
            failures[source.name] = str(error)
        finally:
            if executed.is_file():
                write_html(executed, source.parent)
            write_index(out, everything, preset)
        outcome = "FAILED" if source.name in failures else "ok"
        print(f"{f'{label} ... ' if on_terminal else ''}{outcome}, {duration(time.perf_counter() - start)}", flush=True)
    page = out / "index.html"
    if failures:
        raise NotebookError("\n\n".join(failures.values()) + f"\n\nResults of the others: {page}")
    return page


def choose(everything: list[Path], only: Iterable[str] | None, folder: Path) -> list[Path]:
    """The notebooks named by `only` (number, stem or file name), in their order; all of them for None."""
    if not everything:
        raise FileNotFoundError(f"{folder}: no notebooks named like 01_title.ipynb. Run from the project's root.")
    if only is None:
        return everything
    wanted = {name.removesuffix(".ipynb") for name in only}
    names = {path: {path.stem, path.stem.partition("_")[0]} for path in everything}
    unknown = wanted - set().union(*names.values())
    if unknown or not wanted:
        known = ", ".join(path.stem for path in everything)
        raise ValueError(f"no notebook is called {', '.join(sorted(unknown)) or '(nothing)'}; there are {known}.")
    return [path for path in everything if names[path] & wanted]


def write_html(executed: Path, images: Path) -> Path:
    """Render an executed notebook beside itself, with the pictures (relative to `images`) inside the file.

    Links lead to the lessons' folder, `images`, where the notebook was before it was executed.
    """
    nbconvert, nbformat = _import("nbconvert"), _import("nbformat")
    # Only formulas still need the network (MathJax); without it they show as TeX.
    exporter = nbconvert.HTMLExporter(embed_images=True, require_js_url="")
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("widgets", None)
    resources = {"metadata": {"name": executed.stem, "path": str(images)}}
    body, _ = exporter.from_notebook_node(notebook, resources)
    page = executed.with_suffix(".html")
    lessons = Path(os.path.relpath(images, page.parent)).as_posix()
    body = body.replace('href="solutions/', f'href="{lessons}/solutions/')
    write_text_atomic(page, body)
    return page


def _own_kernel() -> type:
    """A kernel manager that starts the running interpreter, whatever kernel specs the machine has."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class OwnKernel(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            # What a kernel logs, such as that it was interrupted at its end, would land between the lines of progress.
            return KernelSpec(resource_dir="", env=KERNEL_ENV, **get_kernel_dict(["--log-level=CRITICAL"]))

    return OwnKernel


def _import(name: str) -> Any:
    try:
        return __import__(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is missing: running notebooks needs `pip install 'mgdmkit[notebooks]'` "
            "(in a checkout: make test, or pip install -c constraints.txt -e '.[notebooks,dev,site]')."
        ) from error


def _declared_type(parameter: dict[str, str]) -> str:
    """The annotation, `list` for `list[int]`; without one, the type of the default."""
    if parameter["inferred_type_name"] != "None":
        return parameter["inferred_type_name"].partition("[")[0].strip()
    try:
        return type(ast.literal_eval(parameter["default"])).__name__
    except (ValueError, SyntaxError):
        return "a computed value"


def _mark_failed(executed: Path) -> str:
    """Name the cell at which a run ended, numbered as in the source, and note it in the executed copy.

    papermill marks a cell that raised, but one that killed its kernel counts as completed there.
    """
    notebook = json.loads(executed.read_text(encoding="utf-8")) if executed.is_file() else {"cells": []}
    reached = [(n, c) for n, c in enumerate(source_cells(notebook), start=1) if was_reached(c)]
    if not reached:
        return "before its first cell"
    failed = [(n, c) for n, c in reached if c["metadata"]["papermill"]["status"] == "failed"]
    number, cell = failed[0] if failed else reached[-1]
    cell["metadata"]["papermill"].update(status="failed", exception=True)
    notebook["metadata"]["papermill"]["exception"] = True
    write_text_atomic(executed, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return f"cell {number} (In [{cell.get('execution_count') or '*'}])"
