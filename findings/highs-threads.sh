#!/usr/bin/env bash
# Expected: the option `threads` belongs to one Highs object; another object may have another number.
# Seen:     all objects of a process share one scheduler. Once a model has run, `run()` of an object with another number
#           returns kError and leaves the model status kNotset. Nothing is raised, and the solution that can be read then says
#           objective 0.0, so code that looks at values alone takes a model that was never solved for one solved perfectly.
#           `Highs.resetGlobalScheduler` makes room for another number.
# Matters:  planners solve many small programs, and a job that plans inside a training process shares it with others: the
#           first to run decides for all.
# highspy 1.16.0, seen on 2026-11-29.
source "$(dirname "$0")/venv.sh"
environment venv highspy==1.16.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import sys

import highspy


def solve(threads):
    """Minimise a whole number between 2.5 and 5; the answer is 3."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", threads)
    number = highs.addIntegral(0, 5)
    highs.addConstr(number >= 2.5)
    returned = highs.minimize(number)
    value = highs.getInfo().objective_function_value
    print(f"threads {threads}: {returned}, {highs.getModelStatus()}, objective {value}")
    return returned.name, highs.getModelStatus().name, value


seen = [solve(1), solve(2), solve(1)]
highspy.Highs.resetGlobalScheduler(True)
seen.append(solve(2))
good, bad = ("kOk", "kOptimal", 3.0), ("kError", "kNotset", 0.0)
if seen == [good, bad, good, good]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
