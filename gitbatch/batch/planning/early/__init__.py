"""Early start (rule F2): which items may start before their group, from what, and what that saves. Pure."""
