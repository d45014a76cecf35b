"""What outlives a workflow, in SQL: claims with their timeline, documents and tickets; invoice lines and allocations."""
