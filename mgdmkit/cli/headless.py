"""Run the numbered notebooks without a browser, strictly.

papermill does the running. What is added here is strictness: a parameter that the notebook does not declare,
a value of another type, or a cell that ends the kernel early is an error, not a line in a log.
"""

import ast
import json
from collections.abc import Iterable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mgdmkit.files import write_text_atomic
from mgdmkit.pool import cores, pool

LANES = min(2, cores())
"""Lessons that run at once: much of one uses a single core, and each needs up to 2 GB of memory."""

KERNEL_ENV = {
    # A backend chosen for scripts (MPLBACKEND=Agg) would leave the executed notebooks without pictures.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
ADDED_BY_PAPERMILL = {"injected-parameters", "papermill-error-cell-tag"}
ACCEPTED = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}


class NotebookError(RuntimeError):
    """A notebook did not run to its end; the message says where, why, and where the executed copy is."""


def run_notebook(source: Path, output: Path, parameters: dict[str, Any]) -> Path:
    """Execute `source` with `parameters`, write the executed copy to `output` and return its path.

    The kernel is the running interpreter and works in the folder of `source`. `output` grows cell by cell and
    stays there when a cell fails.

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
            progress_bar=False,
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
    """Run every `NN_*.ipynb` of a folder and return the folder of the executed copies, `out/notebooks`.

    `LANES` at a time, in order; what two of them need is made once, while the other one waits. Each gets the parameters
    `preset` and `root`: the absolute path of `out`, where data, features and runs live. A failing notebook does not
    stop the others. `only` picks by number or name: `["02", "04_ablation"]`.

    Raises:
        FileNotFoundError: the folder holds no numbered notebook.
        ValueError: `only` names none of them, or a notebook does not declare `preset` and `root`.
        NotebookError: some notebook failed; the message has all of them.
    """
    notebooks, out = notebooks.resolve(), out.resolve()
    chosen = choose(sorted(notebooks.glob("[0-9][0-9]_*.ipynb")), only, notebooks)
    parameters = {"preset": preset, "root": str(out)}
    for source in chosen:  # all of them before the first one runs for minutes
        check_parameters(source, parameters)
    executed, failures = out / "notebooks", []
    with pool(LANES) as runners, tqdm(total=len(chosen), desc="lessons", unit="lesson", disable=None) as bar:
        runs = [runners.submit(run_notebook, source, executed / source.name, parameters) for source in chosen]
        for number, (source, run) in enumerate(zip(chosen, runs, strict=True), start=1):
            while not run.done():
                wait([run], timeout=1)
                bar.refresh()  # the clock goes on
            bar.update()
            _, seconds = notebook_state(executed / source.name)
            error = run.exception()
            outcome = f"{'FAILED' if error else 'ok'}{f', {duration(seconds)}' if seconds else ''}"
            with tqdm.external_write_mode():
                print(f"[{number}/{len(chosen)}] {source.stem}: {outcome}", flush=True)
            if isinstance(error, NotebookError):
                failures.append(str(error))
            elif error:  # none of a lesson's: a worker was killed, a disk is full
                raise error
    if failures:
        raise NotebookError("\n\n".join(failures))
    return executed


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


def notebook_state(executed: Path) -> tuple[str, float | None]:
    """(`ok`, `failed`, `unfinished` or `not run`; seconds, if known), as papermill noted in the copy."""
    if not executed.is_file():
        return "not run", None
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    notes, cells = notebook["metadata"].get("papermill", {}), source_cells(notebook)
    if notes.get("exception"):
        state = "failed"
    else:
        state = "ok" if all(map(was_reached, cells)) else "unfinished"
    return state, notes.get("duration")


def source_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of a notebook without those that papermill puts in: their numbers are those of the source."""
    return [c for c in notebook["cells"] if not ADDED_BY_PAPERMILL & set(c["metadata"].get("tags", []))]


def was_reached(cell: dict[str, Any]) -> bool:
    """Whether papermill started a cell; its `status` alone says `completed` also after an early end."""
    notes = cell["metadata"].get("papermill", {})
    return notes.get("start_time") is not None and notes.get("status") != "running"


def duration(seconds: float) -> str:
    """`8.4 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


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
