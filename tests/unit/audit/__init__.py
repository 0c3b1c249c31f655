"""The audit log: refused changes, the chain, checkpoints, exports."""
