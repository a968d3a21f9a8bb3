from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import save_array, write_array


@pytest.mark.parametrize(
    "values", [np.eye(3, dtype=np.float32), np.arange(7)[::2], np.empty((0, 4), np.uint32), np.eye(4)[:, :2].T]
)
def test_files_are_those_that_numpy_writes(tmp_path: Path, values: np.ndarray) -> None:
    save_array(tmp_path / "ours.npy", values)
    np.save(tmp_path / "theirs.npy", np.ascontiguousarray(values))
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()
    write_array(tmp_path / "ours", values)
    assert (tmp_path / "ours").read_bytes() == values.tobytes()


@pytest.mark.parametrize("write", [save_array, write_array])
def test_a_full_disk_is_said_as_the_system_says_it(write: object) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        write(Path("/dev/full"), np.eye(2))  # type: ignore[operator]
