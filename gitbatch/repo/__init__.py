"""The only folder that starts git: objects, refs, worktrees, following the checkout, the lock."""
