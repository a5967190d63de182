"""What a node knows of itself: reads it, publishes it. Shares the nouns and their wire forms with the extender, nothing else."""
