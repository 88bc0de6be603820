"""What is installed here, does it work, and what to do where it does not: `python -m mgdmkit doctor`.

It imports nothing else of the package: `python mgdmkit/cli/doctor.py` answers even where torch is broken.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

REINSTALL = "rm -rf .venv && make check, or: pip install -c constraints.txt -e '.[notebooks,dev,site]'"
ENOUGH_DISK = 2e9  # bytes; `make demo` writes far less, features of a public dataset more
GREYS = (60, 190)  # the two frames of the test clip
Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One finding. `advice` says what to do, and is empty where nothing needs doing."""

    name: str
    status: Status
    found: str
    advice: str = ""


def report() -> list[Check]:
    """All checks, in reading order; takes a few seconds, needs no network and never raises."""
    return [
        *guarded("python", python),
        *guarded("packages", packages),
        *guarded("import torch", torch_builds),
        *guarded("device", device),
        *guarded("PyAV", decoders, f"No video can be written or read. {REINSTALL}"),
        *guarded("disk", disk),
        *guarded("CLIP weights", weights),
        *guarded("Jupyter kernel", kernel, "For notebooks: pip install -c constraints.txt -e '.[notebooks]'", "warn"),
    ]


def guarded(
    name: str, group: Callable[[], Iterator[Check]], advice: str = REINSTALL, status: Status = "fail"
) -> Iterator[Check]:
    """The checks of a group up to one that breaks: a doctor must survive the illness."""
    try:
        yield from group()
    except Exception as error:
        yield Check(name, status, f"{type(error).__name__}: {error}".splitlines()[0], advice)


def print_report(checks: list[Check]) -> int:
    """Print the findings; returns the exit code, 1 when a check failed."""
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        mark = "ok  " if check.status == "ok" else check.status.upper()
        print(f"{mark}  {check.name:<{width}}  {check.found}")
        if check.advice:
            print(f"{'':{width + 8}}-> {check.advice}")
    counts = {status: sum(check.status == status for check in checks) for status in ("ok", "warn", "fail")}
    print(f"\n{counts['ok']} fine, {counts['warn']} to know about, {counts['fail']} to mend")
    return 1 if counts["fail"] else 0


def python() -> Iterator[Check]:
    machine = f"{platform.system()} {platform.machine()}"
    yield Check("python", "ok", f"{platform.python_version()} ({sys.executable}), {machine}")


def packages() -> Iterator[Check]:
    """Every requirement of the project: the core must be there, what belongs to an extra may be missing."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("mgdmkit") or []
    except metadata.PackageNotFoundError:
        yield Check("mgdmkit", "warn", "not installed, only importable from this folder", REINSTALL)
        return
    for requirement in map(Requirement, lines):
        for extra in ("", "notebooks", "dev", "site"):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield _installed(requirement.name, requirement.specifier, extra)
                break


def torch_builds() -> Iterator[Check]:
    """torch and torchvision hold compiled code that must come from the same release and the same index."""
    torch = import_module("torch")

    def fit() -> Iterator[Check]:
        vision = import_module("torchvision")
        vision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
        yield Check("torch and torchvision", "ok", f"builds {torch.__version__} and {vision.__version__} fit")

    advice = (
        f"torchvision does not fit torch {torch.__version__}: they must be builds of the same release, "
        "both for the CPU or both for the same CUDA. Install both in one command from one index: "
        "pip install --force-reinstall -c constraints.txt torch torchvision"
    )
    yield from guarded("torch and torchvision", fit, advice)


def device() -> Iterator[Check]:
    torch = import_module("torch")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("processor", "ok", f"{cores} cores usable, torch uses {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            memory = f"{card.total_memory / 2**30:.0f} GiB"
            yield Check("accelerator", "ok", f"cuda:{index} {card.name}, {memory}, CUDA {torch.version.cuda}")
    elif torch.backends.mps.is_available():
        yield Check("accelerator", "ok", "mps (Apple GPU)")
    elif shutil.which("nvidia-smi"):
        kind = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPU only"
        advice = "Install a torch build that fits the driver shown by nvidia-smi; the CPU works, slower."
        yield Check("accelerator", "warn", f"an NVIDIA driver, but this torch ({kind}) can't use it", advice)
    else:
        yield Check("accelerator", "ok", "none; the demo is made for the CPU")


def decoders() -> Iterator[Check]:
    """Write a clip of two grey frames as H.264 and read it back with both libraries."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "two_frames.mp4"

        def decord_reads() -> Iterator[Check]:
            decord = import_module("decord")
            reader = decord.VideoReader(str(clip), num_threads=1)
            greys = [float(reader.next().asnumpy().mean()) for _ in range(len(reader))]
            yield _decoded(f"decord {decord.__version__}", greys)

        av = import_module("av")
        write_clip(clip)
        with av.open(str(clip)) as container:
            greys = [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
        yield _decoded(f"PyAV {av.__version__}", greys)
        yield from guarded("decord", decord_reads, f"On macOS and ARM the package is called decord2. {REINSTALL}")
    yield Check("ffmpeg", "ok", shutil.which("ffmpeg") or "no program of that name; nothing here needs it")


def disk() -> Iterator[Check]:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free >= ENOUGH_DISK:
        yield Check("disk", "ok", found)
    else:
        advice = "Free some space, or write elsewhere with --out; old results are in runs/."
        yield Check("disk", "warn" if free > ENOUGH_DISK / 4 else "fail", found, advice)


def weights() -> Iterator[Check]:
    """CLIP weights that open_clip would find without a download: of the Hugging Face hub, and OpenAI's own files."""
    from huggingface_hub import constants

    hub, sizes = Path(constants.HF_HUB_CACHE), {}
    for folder in sorted(hub.glob("models--*")):
        if "clip" in folder.name.lower():
            blobs = [blob.stat().st_size for blob in folder.glob("blobs/*") if blob.suffix != ".incomplete"]
            sizes[folder.name.removeprefix("models--").replace("--", "/")] = sum(blobs)
    sizes |= {str(path): path.stat().st_size for path in sorted(Path.home().glob(".cache/clip/*")) if path.is_file()}
    found = {name: size for name, size in sizes.items() if size > 1e6}  # less is a configuration without weights
    for name, size in found.items():
        yield Check("CLIP weights", "ok", f"{name}, {size / 1e6:.0f} MB")
    if not found:
        yield Check("CLIP weights", "ok", "none in the caches; the demo takes the small CLIP that comes with the kit")
    for path in hub.glob("models--*/blobs/*.incomplete"):
        yield Check("CLIP weights", "warn", f"{path} is half downloaded", "Delete it, or repeat the download.")


def kernel() -> Iterator[Check]:
    """What JupyterLab starts for a notebook. Headless runs don't depend on it: they use this interpreter."""
    program = import_module("jupyter_client.kernelspec").KernelSpecManager().get_kernel_spec("python3").argv[0]
    if program.startswith("python") or Path(program) == Path(sys.executable):
        yield Check("Jupyter kernel", "ok", "python3 is this interpreter")
    else:
        found = f"python3 starts another interpreter: {program}"
        yield Check("Jupyter kernel", "warn", found, f"{sys.executable} -m ipykernel install --sys-prefix")


def write_clip(path: Path) -> None:
    """Two frames of 64 x 64 pixels, each of one grey, as H.264."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for grey in GREYS:
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), grey, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _installed(name: str, wanted: object, extra: str) -> Check:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        if not extra:
            return Check(name, "fail", "missing", REINSTALL)
        return Check(name, "warn", f"missing (extra {extra!r})", f"pip install -c constraints.txt -e '.[{extra}]'")
    if not wanted.contains(version, prereleases=True):
        return Check(name, "fail", f"{version}, but {wanted} is needed", REINSTALL)
    return Check(name, "ok", version)


def _decoded(name: str, greys: list[float]) -> Check:
    if len(greys) == len(GREYS) and all(abs(a - b) < 8 for a, b in zip(greys, GREYS, strict=True)):
        return Check(name, "ok", "an H.264 clip comes back frame by frame")
    found = f"wrote frames of grey {GREYS}, read {[round(grey) for grey in greys]}"
    return Check(name, "fail", found, f"Frames can't be trusted with this build. {REINSTALL}")


if __name__ == "__main__":
    sys.exit(print_report(report()))
