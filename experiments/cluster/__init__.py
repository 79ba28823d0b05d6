"""A cluster whose workers are simulated, for the real driver, proposer and store."""
