"""Compare predictions with published measurements."""

from shardplan.validation.records import Measurement as Measurement
from shardplan.validation.records import MeasurementFile as MeasurementFile
from shardplan.validation.run import Validation as Validation
from shardplan.validation.run import load_measurements as load_measurements
from shardplan.validation.run import validate_model as validate_model

__all__ = [
    "Measurement",
    "MeasurementFile",
    "Validation",
    "load_measurements",
    "validate_model",
]
