"""The formats of a BRD: one outline, and what each format makes of it. All of it is pure."""
