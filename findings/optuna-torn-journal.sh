#!/usr/bin/env bash
# Expected: a journal file exists to survive crashes: after a write that a crash cut short, the study opens without the last
#           record, and new records follow on a line of their own.
# Seen:     it does open, with the trial of the cut record still RUNNING. But the next record is appended to the torn line, so
#           that one write makes a line that is no JSON; it raises JSONDecodeError, and from then on nobody can open the study:
#           the trials that were finished before the crash are out of reach, too.
# Matters:  searches over hardware and plan run for hours on machines that are preempted. Who resumes from such a file ends the
#           torn line (or cuts it off) before anything else is written, or keeps a journal of another kind and tells the
#           finished trials anew.
# optuna 5.0.0, seen on 2026-11-30. The write that is cut short is made by leaving out the last bytes of the file.
source "$(dirname "$0")/venv.sh"
environment venv optuna==5.0.0 numpy==2.4.6
"$work/venv/bin/python" - "$work/journal.log" <<'PY'
import json
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)
path = Path(sys.argv[1])


def search():
    """Open the study of the journal, or begin it."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(
        storage=storage, sampler=sampler, study_name="nic", load_if_exists=True
    )


def objective(trial):
    """The distance of a bandwidth from the one that is wanted."""
    return abs(trial.suggest_float("nic_bw", 0.0, 1.0) - 0.3)


def outcome(action):
    """What an action leads to, in words."""
    try:
        return action()
    except json.JSONDecodeError as error:
        return type(error).__name__


search().optimize(objective, n_trials=3)
path.write_bytes(path.read_bytes()[:-7])
reopened = search()
seen = [
    outcome(lambda: [trial.state.name for trial in reopened.trials]),
    outcome(lambda: reopened.optimize(objective, n_trials=1)),
    outcome(lambda: len(search().trials)),
]
for name, what in zip(("opened", "written", "opened again"), seen):
    print(f"{name}: {what}")
if seen == [["COMPLETE", "COMPLETE", "RUNNING"], "JSONDecodeError", "JSONDecodeError"]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
