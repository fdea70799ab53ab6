"""Incremental parsers of what browsers record: WebM and Ogg with Opus, bare Opus packets, PCM. Sans-I/O."""
