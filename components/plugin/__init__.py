"""The components as a plugin for any Pulumi language, and their schema."""
