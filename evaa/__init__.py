"""What EVAA knows: the interview, the plug-ins, the simulators, the commands."""
