"""The providers' wire protocols on loopback, for tests, demos and benchmarks. Scripted from outside; no key needed."""
