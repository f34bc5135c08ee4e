"""Figures of the lab, measured side by side in one run. Not part of `make test`: machines are noisy."""
