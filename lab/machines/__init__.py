"""Guest images, virtual machines, their metadata service, and cheap private hosts."""
