"""The n8n workflow: a skeleton made from a BRD, and a checker for what n8n's own import lets pass."""
