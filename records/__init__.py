"""What outlives a workflow, in SQL: claims, timelines and documents; invoice lines and their allocations."""
