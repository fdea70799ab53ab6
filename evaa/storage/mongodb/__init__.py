"""The MongoDB session store: ODMantic for the models, indexes and reads; Motor's collections for the writes."""
