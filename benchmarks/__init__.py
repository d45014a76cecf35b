"""What is measured, and by which command. Nothing here passes or fails."""
