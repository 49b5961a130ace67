"""Files in and out: TOML, CSV, Parquet and JSON; the shipped ones by name."""
