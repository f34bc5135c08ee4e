"""What AWS gets: the resources of one site, and the hooks that look before they change."""
