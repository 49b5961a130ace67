"""Lower bounds with certificates, proofs that nothing fits, the one door to HiGHS."""
