"""Pure decisions: addressing, the tunnel, routing. Imports no provider SDK."""
