"""Files that an agent may have touched: opening without following links, durable writes, removal, room on the disk."""
