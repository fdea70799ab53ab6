"""What is said at each boundary. Pure data and rules: imports neither trio nor any I/O."""
