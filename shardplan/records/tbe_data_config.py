"""FBGEMM's description of the lookups of a job, as its benchmark of embeddings has it.

References
----------
FBGEMM, fbgemm_gpu/tbe/bench/tbe_data_config.py and tbe_data_config_param_models.py.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from shardplan.records.record import Flag, Fraction, Integer, Number, Record, Rows

Positive = Annotated[Number, Field(gt=0, le=1e6)]
Count = Annotated[Integer, Field(ge=1)]


class _Params(Record):
    """Fields that are not read are ignored, as FBGEMM does."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class TbeBatch(_Params):
    """Samples: of all features, and of each."""

    B: Count
    Bs: tuple[Count, ...] | None = None


class TbeIndices(_Params):
    """Shares of the hottest rows, and (rank + q)^-s of all others."""

    heavy_hitters: tuple[Fraction, ...]
    zipf_q: Annotated[Number, Field(gt=0)]
    zipf_s: Annotated[Number, Field(gt=0, le=10)]

    @model_validator(mode="after")
    def _shares_add_up(self) -> TbeIndices:
        if sum(self.heavy_hitters) > 1 + 1e-6:
            raise ValueError("heavy_hitters are shares of lookups: at most 1 in sum")
        return self


class TbePooling(_Params):
    """Lookups of a sample: of all features, and of each."""

    L: Positive
    Ls: tuple[Positive, ...] | None = None


class TbeDataConfig(_Params):
    """FBGEMM's `TBEDataConfig`.

    Attributes
    ----------
    T, E, D : int
        Features; rows and columns of their tables, the mean of which it is where `Es`
        and `Ds` say more.
    embedding_specs : tuple of (rows, columns)
        Tables, of which `feature_table_map` has one for each feature.
    """

    T: Annotated[Integer, Field(ge=1, le=100_000)]
    E: Rows
    D: Annotated[Integer, Field(ge=1, le=65_536)]
    mixed_dim: Flag = False
    weighted: Flag = False
    batch_params: TbeBatch
    indices_params: TbeIndices
    pooling_params: TbePooling
    Es: tuple[Rows, ...] | None = None
    Ds: tuple[Count, ...] | None = None
    embedding_specs: tuple[tuple[Rows, Count], ...] | None = None
    feature_table_map: tuple[Annotated[Integer, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _lists_fit(self) -> TbeDataConfig:
        lists = {
            "Es": self.Es,
            "Ds": self.Ds,
            "Bs": self.batch_params.Bs,
            "Ls": self.pooling_params.Ls,
            "feature_table_map": self.feature_table_map,
        }
        for name, each in lists.items():
            if each is not None and len(each) != self.T:
                raise ValueError(f"{name} has {len(each)} entries for T = {self.T}")
        last = max(self.feature_table_map or range(self.T))
        if self.embedding_specs is not None and last >= len(self.embedding_specs):
            raise ValueError(f"embedding_specs has no table {last}, which features use")
        return self
