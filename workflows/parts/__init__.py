"""What workflows share. No state lives in these modules: they are loaded once a process, not once a run."""
