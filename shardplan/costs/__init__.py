"""The performance model: pure formula functions over NumPy arrays.

Every function takes its coefficients as arguments; the records that hold them are
:class:`shardplan.records.cost_model.CostModel` (what software achieves) and
:class:`shardplan.records.topology.Topology` (what the hardware offers).
"""
