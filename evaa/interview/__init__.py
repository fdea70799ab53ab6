"""The interview, pure: stages, state, the follow-up rule, and the life of a turn. No trio, no I/O."""
