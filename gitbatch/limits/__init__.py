"""Why attempts fail, what agents use and cost, and what limits that: causes, usage, budget, rate limit."""
