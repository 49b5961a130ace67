#!/usr/bin/env bash
# Expected: HiGHS with `output_flag` false writes nothing; the option is set on a new object before anything else.
# Seen:     highspy 1.16.0 writes two lines to file descriptor 1 in the constructor `Highs()`, so no option is early enough,
#           and a redirect of Python's `sys.stdout` does not catch them. 1.15.1 writes nothing.
# Matters:  whatever solves with HiGHS and writes JSON to standard output breaks for whoever parses it.
# Seen on 2026-11-29, Python 3.11 and 3.13.
source "$(dirname "$0")/venv.sh"

written() {  # what a new, silenced Highs of a release writes to standard output
  environment "$1" "highspy==$1" numpy==2.4.6
  "$work/$1/bin/python" - <<'PY'
import contextlib
import io

import highspy

with contextlib.redirect_stdout(io.StringIO()):
    highspy.Highs().setOptionValue("output_flag", False)
PY
}

old=$(written 1.15.1)
new=$(written 1.16.0)
echo "highspy 1.15.1 wrote: '${old}'"
echo "highspy 1.16.0 wrote: '${new}'"
if [[ -z $old && $new == "Running HiGHS 1.16.0"* ]]; then echo "as described"; else echo "changed: see above"; exit 1; fi
