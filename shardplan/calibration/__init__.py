"""Networks from the measurements of one's own cluster: files of nccl-tests, fits."""
