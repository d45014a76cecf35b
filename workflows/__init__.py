"""Orchestration: deterministic, one file a workflow."""
