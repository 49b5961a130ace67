"""Where points are run: in this process, or on workers of a Dask cluster."""
