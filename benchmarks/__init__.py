"""Measures the figures that issue 2 promises, on the real parts. ``make bench`` runs it."""
