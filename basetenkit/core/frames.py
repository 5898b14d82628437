"""Frames of other libraries (pandas, Arrow, numpy, Hugging Face's `datasets`) as plain columns, without importing any of them.

Each is known by what it can do. Their columns become lists of plain Python values: a missing value is None, and an array
inside a cell is a list, because a Parquet file that pandas reads has its lists of messages in arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import polars as pl
from polars.datatypes import DataType, DataTypeClass

ColumnTypes: TypeAlias = Mapping[str, DataType | DataTypeClass]  # the schema of a frame to be made
ONLY = "prompt"  # the name of the only column of what has one column and no name for it


def columns_of(data: Any) -> dict[str, list[object]] | pl.DataFrame | None:
    """The columns of a frame, an Arrow table or an array; None for anything else."""
    if isinstance(data, (pl.DataFrame, pl.LazyFrame)):
        return data.collect() if isinstance(data, pl.LazyFrame) else data
    if isinstance(data, pl.Series):
        return {data.name or ONLY: data.to_list()}
    if hasattr(data, "iloc") and hasattr(data, "to_dict"):  # pandas
        if not hasattr(data, "columns"):  # a Series
            return {str(data.name or ONLY): [plain(value) for value in data.tolist()]}
        return {str(name): [plain(value) for value in data[name].tolist()] for name in data.columns}
    if hasattr(data, "to_polars"):  # Hugging Face's
        return columns_of(data.to_polars())
    if hasattr(data, "__arrow_c_stream__"):
        return pl.DataFrame(data)
    if hasattr(data, "dtype") and hasattr(data, "tolist"):  # numpy
        names = data.dtype.names
        columns = {ONLY: data} if names is None else {name: data[name] for name in names}
        return {name: plain(column.reshape(-1)) for name, column in columns.items()}
    return None


def plain(value: object) -> Any:
    """A cell's value without arrays, and None for a missing one."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (str, bytes, int, bool)) or value is None:
        return value
    return None if _is_missing(value) else value


def _is_missing(value: object) -> bool:
    try:
        return bool(value != value)  # NaN and NaT differ from themselves
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"
