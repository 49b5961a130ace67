"""Files in and out: TOML, CSV and Parquet, plan JSON, JSON Schemas."""
