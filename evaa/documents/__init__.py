"""What becomes of an interview: the summary, the BRD and its versions, their formats, and the n8n workflow."""
