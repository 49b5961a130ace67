#!/usr/bin/env bash
# Expected: measured NCCL times of a file, by number of GPUs and `message_size`: bytes, as nccl-tests prints it in its column
#           `size`, once each; and of the NCCL release that the folder is named after.
# Seen:     sizes are numbers of elements: a row of type half and one of int8 with the same bytes differ by a factor of two in
#           `message_size` and agree in time. The folder 2.27.3 of B200 holds every point three times, up to 1.35 times as
#           long as the shortest, and its rows say 2.29.2. Times need not grow with bytes: an all-reduce on the 4 GPUs of a GB200
#           tray takes 2.4 times as long for 8 MiB as for 4 MiB, 1.1 times from there to 16 MiB.
# Matters:  who reads sizes as bytes halves every bandwidth; a table of the last row per size is a draw; and a cost model that
#           interpolates between 4 and 8 MiB meets the step of another algorithm, in the middle of what dense gradients take.
# aiconfigurator-core 0.12.0, seen on 2026-11-30. Needs Python 3.11 or newer, on Linux.
source "$(dirname "$0")/venv.sh"
environment venv aiconfigurator-core==0.12.0 pyarrow==25.0.0
"$work/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version
from importlib.resources import files

import pyarrow.parquet as parquet

data = files("aiconfigurator_core") / "systems" / "data"


def rows(system, release):
    path = str(data / system / "comm" / "nccl" / release / "nccl_perf.parquet")
    return parquet.read_table(path).to_pylist()


def times(table, kind, collective, ranks, size):
    """All latencies [ms] of one point."""
    wanted = (kind, collective, ranks, size)
    keys = ("nccl_dtype", "op_name", "num_gpus", "message_size")
    return [row["latency"] for row in table if tuple(row[key] for key in keys) == wanted]


print("aiconfigurator-core", version("aiconfigurator-core"))
a100 = rows("a100_sxm", "2.27.3")
(half,) = times(a100, "half", "all_gather", 8, 2**27)
(byte,) = times(a100, "int8", "all_gather", 8, 2**28)
print(f"A100 all-gather: {half} ms for 2^27 of half, {byte} ms for 2^28 of int8")

b200 = rows("b200_sxm", "2.27.3")
three = times(b200, "half", "all_gather", 8, 2**23)
says = {row["version"] for row in b200}
print(f"B200, folder 2.27.3: rows say {says}; 2^23 of half: {three} ms")

tray = rows("gb200", "2.29.2")
four, eight, sixteen = (min(times(tray, "half", "all_reduce", 4, 2**n)) for n in (21, 22, 23))
print(f"GB200, 4 GPUs, all-reduce of 4, 8 and 16 MiB: {four}, {eight}, {sixteen} ms")

same = abs(half / byte - 1) < 0.05
twice = len(three) == 3 and says == {"2.29.2"}
if same and twice and eight / four > 2 and sixteen / eight < 1.3:
    print("as described")
else:
    sys.exit("changed: see above")
PY
