"""Reviews: what an agent is asked when it judges the output of another one, and how its verdict is read."""
