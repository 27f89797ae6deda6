"""Where bytes are kept for a while: in memory, in files, and the answers of vendors that are kept there."""
