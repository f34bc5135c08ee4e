"""The Node.js language host."""
