"""What prints figures. Machines are shared and noisy: read the ratios, not the absolute numbers."""
