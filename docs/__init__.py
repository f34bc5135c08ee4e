"""Documents that are generated from the code: `make generated`."""
