"""Arrays into files by Python's own writes. Those of numpy and faiss go through a C buffer, whose last piece a full
disk loses without an error, and their other errors do not say what the system said.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_array(file: Path, values: NDArray[Any]) -> None:
    """Write `values` as `numpy.load` reads them. Raises OSError."""
    header = io.BytesIO()
    values = np.ascontiguousarray(values)
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
    with file.open("wb") as out:
        out.write(header.getvalue())
        out.write(_bytes_of(values))


def write_array(file: Path, values: NDArray[Any]) -> None:
    """Write the bare elements of `values`, as `numpy.fromfile` reads them. Raises OSError."""
    file.write_bytes(_bytes_of(np.ascontiguousarray(values)))


def _bytes_of(values: NDArray[Any]) -> memoryview:
    return values.reshape(-1).view(np.uint8).data
