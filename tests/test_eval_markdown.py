from __future__ import annotations

from eval.bootstrap import Delta, Interval
from eval.markdown import bounds_cell, change_cell, figure_cell, table_lines, value_cell


def test_cells() -> None:
    interval = Interval(0.5, 0.25, 0.75)
    assert figure_cell(interval) == "0.500 (0.250 to 0.750)"
    assert bounds_cell(interval) == "0.250 to 0.750"
    assert change_cell(Delta(Interval(-0.1, -0.2, 0.0), 0.1)) == "-0.100 (-0.200 to +0.000)"
    assert change_cell(Delta(Interval(-0.0001, -0.0004, 0.1), 0.5)) == "+0.000 (+0.000 to +0.100)", "no negative zero"
    assert [figure_cell(None), bounds_cell(None), change_cell(None), value_cell(None)] == ["-", "", "", "-"]


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert list(table_lines(["a", "b"], [["x|y", "z"]])) == ["| a | b |", "|---|---|", "| x\\|y | z |"]
