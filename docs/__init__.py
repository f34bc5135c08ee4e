"""Documents that are made of the code: `make generated`."""
