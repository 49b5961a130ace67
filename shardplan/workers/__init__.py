"""Other processes that do work: of this machine, or of a Dask cluster."""
