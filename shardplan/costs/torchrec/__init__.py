"""TorchRec's planner estimates as pure array functions.

`perf` has the times and `storage` the bytes of TorchRec 1.8.0's default estimators;
`pricer` applies them to the menu and to plans. Coefficients come from the cost model
record (`cost_models/torchrec.toml`).
"""
