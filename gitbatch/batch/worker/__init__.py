"""A worker: works on items for an orchestrator on another machine, and sends back a reply and the bytes of one file."""
