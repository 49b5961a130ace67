#!/usr/bin/env bash
# Expected: `LpAffineExpression([(variable, coefficient), ...])` works as in every PuLP up to 3.3, or raises at once.
# Seen:     PuLP 4.2.0 accepts the list. Only where the expression is used, printed or handed to a problem does something
#           about 'list' come up, far from the place that made it. A dict fares alike; only arithmetic and `lpSum` make one that works. `solve` returns an object
#           with statistics where it returned a number, which compares as unequal to every status.
# Matters:  models of placements are built from thousands of generated rows; the traceback points at none of them.
# PuLP 4.2.0 (needs Python 3.12 or newer) with highspy 1.16.0, seen on 2026-11-29, Python 3.13.
source "$(dirname "$0")/venv.sh"
"${PYTHON:-python3}" -c 'import sys; sys.exit("set PYTHON to a Python 3.12 or newer") if sys.version_info < (3, 12) else None'
environment venv pulp==4.2.0 highspy==1.16.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import sys

import pulp

print("PuLP", pulp.__version__)
problem = pulp.LpProblem("two", pulp.LpMinimize)
x, y = problem.add_variable("x", 1, 5), problem.add_variable("y", 2, 5)
expression = pulp.LpAffineExpression([(x, 1.0), (y, 2.0)])
print("a list of pairs is accepted:", type(expression).__name__)
try:
    problem.setObjective(expression)
    late = None
except TypeError as error:
    late = str(error)
print("as an objective:", late)
problem.setObjective(x + 2 * y)
returned = problem.solve(pulp.HiGHS(msg=False))
value = pulp.value(problem.objective)
print(f"arithmetic solves: objective {value}; solve returned a {type(returned).__name__}, equal to 1: {returned == 1}")
if late and "list" in late and value == 5.0 and returned != 1:
    print("as described")
else:
    sys.exit("changed: see above")
PY
