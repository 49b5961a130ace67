"""Lower bounds with certificates, and proofs that nothing fits."""
