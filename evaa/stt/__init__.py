"""Speech to text: containers, endpointing, the audio that is kept until it is heard, and the plug-ins."""
