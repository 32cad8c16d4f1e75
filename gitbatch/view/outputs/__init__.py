"""What the verbs print with `--json`, a module for each: `status` and `plan` import none of the others."""
