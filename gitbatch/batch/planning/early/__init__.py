"""Early start (rule F2): which items may start before their group, from what, and what that saves. Pure.

`plan_early` finds what each item has to wait for. A `Frontier` is then given what happens, in this order for each group:
`open_group` returns the items that are done already, and each of them is judged by `judge_reading`: `keep_item` or
`reopen_item`, before anything starts. Then `start_items`, and `end_item` for each that ends, until `list_unended` is empty; an
early item that ends in its group's turn is judged too. A conflict at the merge is `discard_output`; `record_group` ends the
turn. A review calls `reopen_item` and `discard_output`. A resume begins with `restore_item` for each item branch.
"""
