#!/usr/bin/env bash
# Expected: a log of 100,000 events with time stamps, shipped as an example for training, lies in the order of its events, or
#           nearly; caches that are measured on it as it lies are those of a job that trains as events come.
# Seen:     the lines of ml-100k.inter are in no order: half of all neighbours go back in time. Read as they lie an LRU cache of
#           50 films hits 8.2 %, as on a shuffled file (8.1 %), which seems to confirm that lookups are independent. By time it
#           hits 4.5 %, and a cache of 50 users 98.2 % instead of 16.6 %.
# Matters:  who sizes caches, or checks a model of them, on the file as it lies has users' caches six times too bad and films'
#           nearly twice too good, with a check that seems to agree. Sort by time first.
# RecBole 1.2.1, seen on 2026-12-01. Nothing is installed: the file is read out of the wheel.
source "$(dirname "$0")/venv.sh"
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" recbole==1.2.1 >&2
"${PYTHON:-python3}" - "$work"/recbole-1.2.1-*.whl <<'PY'
import random
import sys
import zipfile
from collections import OrderedDict

wheel = zipfile.ZipFile(sys.argv[1])
lines = wheel.read("recbole/dataset_example/ml-100k/ml-100k.inter").decode().splitlines()[1:]
events = [tuple(map(int, line.split("\t"))) for line in lines]


def hits(ids, size=50):
    """Per cent of the lookups that an LRU cache of rows serves."""
    cache, found = OrderedDict(), 0
    for row in ids:
        found += row in cache
        cache[row] = None
        cache.move_to_end(row)
        if len(cache) > size:
            cache.popitem(last=False)
    return round(100 * found / len(ids), 1)


back = sum(a[3] > b[3] for a, b in zip(events, events[1:]))
print(f"recbole 1.2.1: {len(events)} events, {back} go back in time")
orders = {
    "as it lies": events,
    "shuffled": random.Random(0).sample(events, len(events)),
    "by time": sorted(events, key=lambda event: event[3]),
}
seen = {name: (hits([e[0] for e in order]), hits([e[1] for e in order])) for name, order in orders.items()}
for name, (users, films) in seen.items():
    print(f"{name}: 50 users {users} %, 50 films {films} %")
ok = seen["as it lies"] == (16.6, 8.2) and seen["by time"] == (98.2, 4.5) and seen["shuffled"][1] == 8.1
if ok and 45_000 < back < 55_000:
    print("as described")
else:
    sys.exit("changed: see above")
PY
