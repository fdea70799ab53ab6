"""What lives: the server, its sessions, and the actors that each session is made of."""
