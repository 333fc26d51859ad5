"""What a job author imports, nothing else."""
