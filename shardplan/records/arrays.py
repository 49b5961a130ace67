"""Names for arrays by what they hold; their shapes are in the docstrings that use them.

Only type checkers load this, so that records do without NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
